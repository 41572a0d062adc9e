import { type FormEvent, type ReactNode, useId, useMemo, useState } from 'react'
import { FormProvider, useForm, useWatch } from 'react-hook-form'
import type { z } from 'zod'
import { ApiProblem, explain } from '../api/problem.ts'
import { Button } from '../ui/Button.tsx'
import { Dialog } from '../ui/Dialog.tsx'
import { Control } from './Control.tsx'
import { ErrorsContext, focusFirstError } from './errors.tsx'
import { type Field, fieldsOf, initialOf } from './field.ts'
import { NewEntryContext } from './new-entry.ts'
import { SubField } from './SubField.tsx'
import { check, type FieldError, fromForm, toControlError, toForm, type Values } from './values.ts'

/** Texts that the contract does not provide, or `hidden` for a key that the form leaves out. */
export type FieldTexts = Record<string, { title?: string; help?: string } | 'hidden'>

type Props = {
  title: string
  schema: z.ZodType
  words?: FieldTexts
  initial?: Values
  note?: ReactNode
  /** Resolves to whether the entry was saved; throws ApiProblem if it was refused. */
  onSave: (value: Values) => Promise<boolean>
  onClose: () => void
}

/** A form for one directory entry, generated from its schema. */
export function EntryDialog({ title, schema, words = {}, initial, note, onSave, onClose }: Props) {
  const fields = useMemo(() => withTexts(fieldsOf(schema), words), [schema, words])
  const form = useForm<Values>({ defaultValues: toForm(fields, initial ?? initialOf(fields)) })
  const typed = useWatch({ control: form.control }) as Values
  const [errors, setErrors] = useState<readonly FieldError[]>([])
  const [failure, setFailure] = useState<string>()
  const id = useId()

  async function submit(event: FormEvent) {
    event.preventDefault()
    const wrong = check(schema, fields, typed)
    setErrors(wrong)
    setFailure(undefined)
    if (wrong.length > 0) return focusFirstError(wrong)
    try {
      if (await onSave(fromForm(fields, typed))) onClose()
    } catch (error) {
      const refused = error instanceof ApiProblem ? error.errors : []
      setErrors(refused.map((one) => toControlError(fields, one, typed)))
      setFailure(explain(error))
    }
  }

  return (
    <Dialog
      title={title}
      onClose={onClose}
      footer={
        <>
          <Button look="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" form={id} look="primary">
            Review and save
          </Button>
        </>
      }
    >
      <FormProvider {...form}>
        <ErrorsContext value={errors}>
          <NewEntryContext value={initial === undefined}>
            <form id={id} onSubmit={submit} noValidate className="flex flex-col gap-4">
              {note && <div className="text-soft text-sm">{note}</div>}
              {fields.map((field) => (
                <SubField
                  key={field.key}
                  field={field}
                  path={field.key}
                  disabled={false}
                  control={<Control field={field} path={field.key} disabled={false} />}
                />
              ))}
              {failure && (
                <p role="alert" className="text-danger text-sm">
                  {failure}
                </p>
              )}
            </form>
          </NewEntryContext>
        </ErrorsContext>
      </FormProvider>
    </Dialog>
  )
}

function withTexts(fields: readonly Field[], words: FieldTexts): Field[] {
  return fields
    .filter((field) => words[field.key] !== 'hidden')
    .map((field) => ({ ...field, ...(words[field.key] as object | undefined) }))
}
