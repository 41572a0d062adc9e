import type { Domain } from '@postern/contract/directory.ts'
import type { Stage } from '@postern/contract/rules.ts'
import type { Settings } from '@postern/contract/settings.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import type { AcceptList } from './accept-list.ts'
import type { AddressBlocks } from './address-blocks.ts'
import type { Directory } from './directory.ts'
import type { KillFile } from './kill-file.ts'

/** One compiled revision of the settings. It never changes, so a transaction may hold it as long as it needs. */
export type Policy = {
  readonly revision: number
  readonly settings: Settings
  readonly controlAccess: AddressBlocks
  readonly white: AddressBlocks
  readonly relay: AddressBlocks
  readonly accept: AcceptList
  readonly kill: KillFile
  readonly directory: Directory
  /** The domain for `postmaster` without a domain and for the server's own address literals; `null` if nothing is local. */
  readonly home: Domain | null
  /** Rules in watch mode. */
  readonly watched: ReadonlySet<string>
  /** The verdict of a stage in which every rule passed. */
  readonly proceed: Readonly<Record<Stage, Verdict>>
}
