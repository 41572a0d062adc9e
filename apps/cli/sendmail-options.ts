import { Exit, sysexits } from './sysexits.ts'

/** The options of the sendmail command that other programs use, as in Sendmail 8, Postfix and Exim. */

export type SendmailOptions = {
  mode: 'message' | 'dialogue' | 'queue' | 'run' | 'nothing'
  fromHeader: boolean
  /** A line with only a dot does not end the message. */
  ignoreDots: boolean
  sender: string | undefined
  fullName: string | undefined
  /** -N, -R and -V (RFC 3461). */
  notify: string | undefined
  ret: string | undefined
  envid: string | undefined
  recipients: string[]
}

type Option = {
  /** `needed`: the value may be the next word. `attached`: the value is only the rest of the same word, as in -q30m. */
  value?: 'needed' | 'attached'
  /** If absent, the option is accepted and ignored. */
  take?: (options: SendmailOptions, value: string) => void
}

const modes: Readonly<Record<string, SendmailOptions['mode']>> = {
  m: 'message',
  s: 'dialogue',
  p: 'queue',
  // newaliases: aliases are in the directory, so there is no file to compile.
  i: 'nothing',
}

type Text = 'sender' | 'fullName' | 'notify' | 'ret' | 'envid'

/** Makes an option that stores its value, after passing it through `read`. */
function setting(key: Text, read = (value: string) => value): Option {
  return {
    value: 'needed',
    take: (options, value) => {
      options[key] = read(value)
    },
  }
}

const lower = (value: string) => value.toLowerCase()
const setSender = setting('sender', (value) => value.replace(/^<(.*)>$/, '$1'))
const ignored: Option = {}
const ignoredWithValue: Option = { value: 'needed' }

const table: Readonly<Record<string, Option>> = {
  A: ignoredWithValue,
  B: ignoredWithValue,
  C: ignoredWithValue,
  D: ignoredWithValue,
  E: ignored,
  F: setting('fullName'),
  G: ignored,
  I: {
    take: (options) => {
      options.mode = 'nothing'
    },
  },
  J: ignored,
  L: ignoredWithValue,
  M: ignoredWithValue,
  N: setting('notify', lower),
  O: ignoredWithValue,
  R: setting('ret', lower),
  U: ignored,
  V: setting('envid'),
  X: ignoredWithValue,
  b: {
    value: 'needed',
    take: (options, value) => {
      const mode = modes[value]
      if (!mode) throw new Exit(sysexits.usage, `-b${value} is not supported; use -bm, -bs, -bp or -bi`)
      options.mode = mode
    },
  },
  c: ignored,
  d: { value: 'attached' },
  e: ignoredWithValue,
  f: setSender,
  h: ignoredWithValue,
  i: {
    take: (options) => {
      options.ignoreDots = true
    },
  },
  m: ignored,
  n: ignored,
  o: {
    value: 'needed',
    take: (options, value) => {
      if (value.startsWith('i')) options.ignoreDots = true
    },
  },
  p: ignoredWithValue,
  q: {
    value: 'attached',
    take: (options) => {
      options.mode = 'run'
    },
  },
  r: setSender,
  s: ignored,
  t: {
    take: (options) => {
      options.fromHeader = true
    },
  },
  v: ignored,
  x: ignoredWithValue,
}

/**
 * Parses words as getopt(3) does, and also accepts options after recipients. Throws Exit with EX_USAGE for an unknown
 * option.
 */
export function sendmailOptions(args: readonly string[]): SendmailOptions {
  const options: SendmailOptions = {
    mode: 'message',
    fromHeader: false,
    ignoreDots: false,
    sender: undefined,
    fullName: undefined,
    notify: undefined,
    ret: undefined,
    envid: undefined,
    recipients: [],
  }
  const words = [...args]
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === '--') options.recipients.push(...words.splice(0))
    else if (!word.startsWith('-') || word === '-') options.recipients.push(word)
    else takeWord(options, word, words)
  }
  return options
}

/** Parses one word of options, such as -ti or -fsender. A required value may be the next word. */
function takeWord(options: SendmailOptions, word: string, next: string[]): void {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at] as string
    const option = Object.hasOwn(table, letter) ? table[letter] : undefined
    if (!option) throw new Exit(sysexits.usage, `-${letter} is not an option of sendmail; see postern --help`)
    if (!option.value) {
      option.take?.(options, '')
      continue
    }
    const attached = word.slice(at + 1)
    const value = attached !== '' || option.value === 'attached' ? attached : next.shift()
    if (value === undefined) throw new Exit(sysexits.usage, `-${letter} needs a value`)
    option.take?.(options, value)
    return
  }
}
