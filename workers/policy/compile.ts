import type { Domain } from '@postern/contract/directory.ts'
import { type Replica, type RowKind, rowKinds } from '@postern/contract/rows.ts'
import { type Stage, stageNames } from '@postern/contract/rules.ts'
import { defaultSettings, type Settings, settingGroupNames } from '@postern/contract/settings.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import { type AcceptList, addAccept } from './accept-list.ts'
import { type AddressBlocks, addressBlocks, isSameBlock, successorOf } from './address-blocks.ts'
import { addAccount, addAlias, addDomain, addGroup, type Directory, emptyDirectory } from './directory.ts'
import { emptyKillFile, isSameKill, type KillFile, mayGrow, withKill } from './kill-file.ts'
import type { Policy } from './policy.ts'
import { passedTrails } from './stages.ts'

/** The parts of the previous policy that may be reused: those whose kinds are not in `changed`. */
export type CompileOptions = { previous?: Policy; changed?: ReadonlySet<RowKind> }

/** Number of rows in one step, which takes well below a millisecond. */
const rowsPerStep = 1000

const directoryKinds = ['domain', 'account', 'alias', 'group'] as const

/**
 * Compiles the policy in one go. The policy keeps values of the replica's rows but never its maps, so the replica may
 * change afterwards. Throws an Error that names the row if one cannot be compiled.
 */
export function compilePolicy(replica: Replica, revision: number, options: CompileOptions = {}): Policy {
  return inOneGo(compileSteps(replica, revision, options))
}

/** The part of the policy that the Queue Manager reads. */
export type DeliveryPolicy = Pick<Policy, 'revision' | 'settings' | 'directory' | 'relay'>

/** Like `compilePolicy`, without the lists that only the receiver reads. */
export function compileDeliveryPolicy(
  replica: Replica,
  revision: number,
  options: { previous?: DeliveryPolicy; changed?: ReadonlySet<RowKind> } = {},
): DeliveryPolicy {
  return inOneGo(deliverySteps(replica, revision, options))
}

function inOneGo<T>(steps: Generator<void, T, void>): T {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

function* deliverySteps(
  replica: Replica,
  revision: number,
  { previous, changed = new Set(rowKinds) }: { previous?: DeliveryPolicy; changed?: ReadonlySet<RowKind> },
): Generator<void, DeliveryPolicy, void> {
  const kept = (...kinds: RowKind[]) => (kinds.some((kind) => changed.has(kind)) ? undefined : previous)
  return {
    revision,
    settings: kept('settings')?.settings ?? compileSettings(replica),
    directory: kept(...directoryKinds)?.directory ?? (yield* compileDirectory(replica)),
    relay: kept('relay')?.relay ?? (yield* compileBlocks(replica.relay, previous?.relay)),
  }
}

/**
 * Like `compilePolicy`, in small steps: `next()` works for well under a millisecond. Between steps the caller checks
 * its clock and yields. The replica must not change until the last step.
 */
export function* compileSteps(
  replica: Replica,
  revision: number,
  { previous, changed = new Set(rowKinds) }: CompileOptions = {},
): Generator<void, Policy, void> {
  const kept = (...kinds: RowKind[]) => (kinds.some((kind) => changed.has(kind)) ? undefined : previous)
  const { settings, directory, relay } = yield* deliverySteps(replica, revision, {
    changed,
    ...(previous ? { previous } : {}),
  })
  return {
    revision,
    settings,
    controlAccess:
      kept('control-access')?.controlAccess ??
      (yield* compileBlocks(replica['control-access'], previous?.controlAccess)),
    white: kept('white')?.white ?? (yield* compileBlocks(replica.white, previous?.white)),
    relay,
    accept: kept('accept')?.accept ?? (yield* compileAccept(replica)),
    kill: kept('kill')?.kill ?? (yield* compileKill(replica, previous?.kill)),
    directory,
    home: homeDomain(directory, settings.general.hostname),
    watched: new Set(settings.security.watch),
    proceed: proceedVerdicts(revision),
  }
}

/**
 * Runs the steps and calls `breathe` between them. If it returns a promise (for example after 10 ms on the event loop),
 * the rest waits for it.
 */
export async function compileInSlices(
  steps: Generator<void, Policy, void>,
  breathe: () => Promise<void> | undefined,
): Promise<Policy> {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
    const pause = breathe()
    if (pause) await pause
  }
}

const defaults = defaultSettings()

/** Compiles the settings. A missing group, or a key that its row does not have yet, has its default. */
function compileSettings(replica: Replica): Settings {
  return Object.fromEntries(
    settingGroupNames.map((group) => [group, { ...defaults[group], ...replica.settings.get(group) }]),
  ) as Settings
}

function* inSteps<T>(rows: Map<string, T>, take: (value: T) => void): Generator<void, void, void> {
  let count = 0
  for (const value of rows.values()) {
    take(value)
    if (++count % rowsPerStep === 0) yield
  }
}

/** Like `compileKill`: adds new entries to the table of the previous list. */
function* compileBlocks(rows: Entries, previous: AddressBlocks | undefined): Generator<void, AddressBlocks, void> {
  const grown = previous && (yield* growBlocks(rows, previous))
  if (grown) return grown
  const { blocks, add } = addressBlocks()
  yield* inSteps(rows, add)
  return blocks
}

type Entries = Replica['control-access']

function* growBlocks(rows: Entries, previous: AddressBlocks): Generator<void, AddressBlocks | null, void> {
  const successor = successorOf(previous)
  if (!successor || rows.size < previous.size) return null
  let i = 0
  for (const entry of rows.values()) {
    if (i >= previous.size) successor.add(entry)
    else if (!isSameBlock(previous, i, entry)) return null
    if (++i % rowsPerStep === 0) yield
  }
  return successor.blocks
}

function* compileAccept(replica: Replica): Generator<void, AcceptList, void> {
  const list: AcceptList = new Map()
  yield* inSteps(replica.accept, (entry) => addAccept(list, entry))
  return list
}

/**
 * Compiles the Kill File. If the list only grew, it is not read again: new entries are added to the table of the
 * previous one.
 */
function* compileKill({ kill }: Replica, previous: KillFile | undefined): Generator<void, KillFile, void> {
  const grown = previous && mayGrow(previous, kill.size) ? yield* growKill(kill, previous) : null
  if (grown) return grown
  let file = emptyKillFile(kill.size)
  yield
  yield* inSteps(kill, (entry) => {
    file = withKill(file, entry)
  })
  return file
}

function* growKill(kill: Replica['kill'], previous: KillFile): Generator<void, KillFile | null, void> {
  let file = previous
  let i = 0
  for (const entry of kill.values()) {
    if (i >= previous.size) file = withKill(file, entry)
    else if (!isSameKill(previous, i, entry)) return null
    if (++i % rowsPerStep === 0) yield
  }
  return i < previous.size ? null : file
}

function* compileDirectory(replica: Replica): Generator<void, Directory, void> {
  const directory = emptyDirectory()
  yield* inSteps(replica.domain, (domain) => addDomain(directory, domain))
  yield* inSteps(replica.account, (account) => addAccount(directory, account))
  yield* inSteps(replica.alias, (alias) => addAlias(directory, alias))
  yield* inSteps(replica.group, (group) => addGroup(directory, group))
  return directory
}

/** Returns the local domain with the server's name, else the one that contains the server's name, else the first by name. */
function homeDomain({ domains }: Directory, hostname: string): Domain | null {
  for (let name = hostname.toLowerCase(); name !== ''; name = name.slice(name.indexOf('.') + 1 || name.length)) {
    const found = domains.get(name)
    if (found) return found
  }
  let first: Domain | null = null
  for (const domain of domains.values()) if (!first || domain.name < first.name) first = domain
  return first
}

function proceedVerdicts(revision: number): Record<Stage, Verdict> {
  return Object.fromEntries(
    stageNames.map((stage): [Stage, Verdict] => [
      stage,
      {
        stage,
        outcome: { kind: 'proceed' },
        rule: 'accept',
        reason: 'accepted',
        revision,
        explanation: ['No rule of this stage refused it.'],
        trail: passedTrails[stage],
      },
    ]),
  ) as Record<Stage, Verdict>
}
