import type { Load } from '../bench/load.ts'
import type { Postern } from '../system/postern.ts'

/** One kind of fault, applied to a Postern while mail flows in and out. */

export type World = {
  postern: Postern
  /** Results of the load in that time. */
  load: Load
  /** Sends all mail to a port where nothing listens, so that it waits in the queue, or back to the sink. */
  holdUp(): Promise<void>
  letGo(): Promise<void>
  /** Sends all mail to this port of the machine. */
  sendTo(port: number): Promise<void>
  /** Where all mail goes when nothing disturbs it. */
  sinkPort: number
}

export type Kind = {
  /** Its name in the table, e.g. `kill -9 smtp`. */
  name: string
  /**
   * Called at a random moment of the load. When it resolves, all parts run again or will do so by themselves. The round
   * then waits until the queue is empty, and checks that every message with 250 arrived intact and the books balance.
   */
  disturb(world: World): Promise<void>
}

/** A kind that needs its own Postern. Returns the result of the round. */
export type OwnKind = {
  name: string
  run(): Promise<{ accepted: number; lost: string[]; damaged: number; unbalanced: string[] }>
}

export type AnyKind = Kind | OwnKind
