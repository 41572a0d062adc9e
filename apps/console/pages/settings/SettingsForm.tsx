import { withSecretsOptional } from '@postern/contract/secrets.ts'
import { settingGroups } from '@postern/contract/settings.ts'
import { Link, useBlocker, useLocation } from '@tanstack/react-router'
import { dequal } from 'dequal/lite'
import { type FormEvent, useEffect, useMemo, useState } from 'react'
import { FormProvider, useForm, useWatch } from 'react-hook-form'
import { ApiProblem, explain } from '../../api/problem.ts'
import { useMay } from '../../api/role.ts'
import { draftedSettings, draftSettings, forgetSettings } from '../../draft/draft.ts'
import { ErrorsContext, focusFirstError } from '../../form/errors.tsx'
import { fieldsOf } from '../../form/field.ts'
import { applyPatch, changesOf, mergePatch } from '../../form/patch.ts'
import { check, type FieldError, fromForm, toControlError, toForm, type Values } from '../../form/values.ts'
import { useReview } from '../../review/review.tsx'
import { Button, buttonClass } from '../../ui/Button.tsx'
import { plural } from '../../ui/format.ts'
import { ConflictDialog } from './ConflictDialog.tsx'
import type { GroupView } from './group.ts'
import { LeaveDialog } from './LeaveDialog.tsx'
import { dangerOf, SettingRow } from './SettingRow.tsx'

type Base = { revision: number; settings: Values }

/**
 * One settings group as a form. `base` is the state that the form started from. The change is a merge patch against it,
 * sent with its revision as If-Match. Changes made elsewhere never overwrite what the user is typing.
 */
export function SettingsForm({ view, reload }: { view: GroupView; reload: () => Promise<GroupView> }) {
  const { schema, title } = settingGroups[view.group]
  const fields = useMemo(() => fieldsOf(schema), [schema])
  const lenient = useMemo(() => withSecretsOptional(schema), [schema])
  const [base, setBase] = useState<Base>(view)
  const form = useForm<Values>({ defaultValues: toForm(fields, view.settings) })
  // Restores changes that the user tried in Simulate or Replay and has not saved.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the form opens
  useEffect(() => {
    const drafted = draftedSettings(view.group)
    if (!drafted) return
    for (const [key, value] of Object.entries(toForm(fields, applyPatch(view.settings, drafted))))
      form.setValue(key, value)
  }, [])
  const asked = useLocation({ select: ({ hash }) => hash })
  // The command palette leads to one setting.
  useEffect(() => {
    if (asked) document.getElementById(asked)?.focus()
  }, [asked])
  const typed = useWatch({ control: form.control }) as Values
  const review = useReview()
  const mayChange = useMay('admin')
  const [tried, setTried] = useState(false)
  const [refused, setRefused] = useState<{ errors: FieldError[]; values: Values } | null>(null)
  const [failure, setFailure] = useState<string>()
  const [theirs, setTheirs] = useState<Base | null>(null)

  const wanted = fromForm(fields, typed)
  const patch = mergePatch(base.settings, wanted)
  const changes = changesOf(base.settings, applyPatch(base.settings, patch)).length

  function follow(next: Base) {
    forgetSettings(view.group)
    setBase(next)
    form.reset(toForm(fields, next.settings))
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: only new data from the API changes an untouched form
  useEffect(() => {
    if (changes === 0 && view.revision > base.revision) follow(view)
  }, [view])

  const wrong = check(lenient, fields, typed)
  const { touchedFields } = form.formState
  const visible = wrong.filter(({ path }) => tried || (touchedFields as Values)[path.split('.')[0] ?? ''] !== undefined)
  const errors = [...visible, ...(refused && dequal(refused.values, typed) ? refused.errors : [])]

  function discard() {
    forgetSettings(view.group)
    form.reset(toForm(fields, base.settings))
  }

  const blocker = useBlocker({
    // These two pages receive the changes.
    shouldBlockFn: ({ next }) => changes > 0 && next.pathname !== '/simulate' && next.pathname !== '/replay',
    enableBeforeUnload: () => changes > 0,
    withResolver: true,
  })

  async function submit(against: Base) {
    const mine = mergePatch(against.settings, wanted)
    const dangers = fields.flatMap((field) => {
      const value = wanted[field.key]
      const changed = !dequal(value, against.settings[field.key])
      return (changed && dangerOf(field, value, true)) || []
    })
    try {
      const result = await review({
        title: `Change ${title} settings`,
        dangers,
        look: dangers.length > 0 ? 'danger' : 'primary',
        verb: dangers.length > 0 ? 'Save anyway' : 'Save',
        request: { method: 'PATCH', path: `/v1/settings/${view.group}`, body: mine, ifMatch: against.revision },
      })
      if (!result) return
      setTried(false)
      follow(await reload())
    } catch (error) {
      await whenRefused(error, against)
    }
  }

  async function whenRefused(error: unknown, against: Base) {
    if (error instanceof ApiProblem && error.status === 412) {
      const now = await reload()
      // Another user changed something else: apply the change on top without asking.
      if (dequal(now.settings, against.settings)) {
        setBase(now)
        return submit(now)
      }
      return setTheirs(now)
    }
    if (error instanceof ApiProblem && error.errors.length > 0) {
      const mapped = error.errors.map((one) => toControlError(fields, one, typed))
      setRefused({ errors: mapped, values: typed })
      focusFirstError(mapped)
    }
    setFailure(explain(error))
  }

  function onSubmit(event: FormEvent) {
    event.preventDefault()
    setTried(true)
    setFailure(undefined)
    if (wrong.length > 0) return focusFirstError(wrong)
    if (changes > 0) void submit(base)
  }

  return (
    <FormProvider {...form}>
      <ErrorsContext value={errors}>
        <form onSubmit={onSubmit} noValidate aria-label={`${title} settings`}>
          <div className="divide-y divide-line">
            {fields.map((field) => (
              <SettingRow
                key={field.key}
                field={field}
                saved={base.settings[field.key]}
                fixed={view.fixed?.[`${view.group}.${field.key}`]}
                inForce={view.inForce?.[`${view.group}.${field.key}`]}
                readOnly={!mayChange}
              />
            ))}
          </div>
          <footer className="sticky bottom-0 z-10 flex min-h-14 flex-wrap items-center gap-3 border-line border-t bg-panel px-5 py-2.5">
            <p role="status" className="mr-auto basis-full text-sm text-soft sm:basis-auto">
              {mayChange && status(changes, wrong.length, tried)}{' '}
              <span className="text-faint">Revision {base.revision}</span>
              {failure && <span className="block text-danger">{failure}</span>}
            </p>
            {changes > 0 && <TryOut onLeave={() => draftSettings(view.group, patch)} />}
            {mayChange && (
              <>
                <Button look="quiet" disabled={changes === 0} onClick={discard}>
                  Discard
                </Button>
                <Button type="submit" look="primary" disabled={changes === 0}>
                  Review and save
                </Button>
              </>
            )}
          </footer>
        </form>
      </ErrorsContext>
      {theirs && (
        <ConflictDialog
          group={view.group}
          base={base}
          theirs={theirs}
          onKeep={() => {
            setBase(theirs)
            form.reset(toForm(fields, theirs.settings))
            for (const [key, value] of Object.entries(toForm(fields, applyPatch(theirs.settings, patch))))
              form.setValue(key, value)
            setTheirs(null)
          }}
          onDiscard={() => {
            follow(theirs)
            setTheirs(null)
          }}
        />
      )}
      {blocker.status === 'blocked' && (
        <LeaveDialog changes={changes} onStay={blocker.reset} onLeave={blocker.proceed} />
      )}
    </FormProvider>
  )
}

/** Before saving: tries the changes on one session, or on all of yesterday's. */
function TryOut({ onLeave }: { onLeave: () => void }) {
  return (
    <>
      <Link to="/simulate" onClick={onLeave} className={buttonClass('quiet')}>
        Simulate
      </Link>
      <Link to="/replay" onClick={onLeave} className={buttonClass('quiet')}>
        Replay yesterday’s mail
      </Link>
    </>
  )
}

function status(changes: number, wrong: number, tried: boolean): string {
  if (changes === 0) return 'Nothing changed.'
  if (tried && wrong > 0) return `${plural(changes, 'change')}; ${plural(wrong, 'value')} cannot be saved yet.`
  return `${plural(changes, 'unsaved change')}.`
}
