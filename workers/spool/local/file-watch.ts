import { type FSWatcher, watch } from 'node:fs'

/** Wakes one sleeper: by watched files where the system can, and at the latest after the time it asked for. */
export class FileWatch {
  #rung = false
  #wake: (() => void) | undefined
  readonly #watchers = new Map<string, FSWatcher>()

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  /** Rings when the file or directory changes. A watch that fails is tried again when asked again; the time limit remains. */
  watch(path: string): void {
    if (this.#watchers.has(path)) return
    try {
      const watcher = watch(path, { persistent: false }, () => this.ring())
      watcher.on('error', () => this.#drop(path))
      this.#watchers.set(path, watcher)
    } catch {
      // Not there yet, or no watches left.
    }
  }

  /** Returns at once when it has rung since the last wait. */
  async wait(ms: number): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = undefined
    }
    this.#rung = false
  }

  close(): void {
    for (const path of [...this.#watchers.keys()]) this.#drop(path)
  }

  #drop(path: string): void {
    this.#watchers.get(path)?.close()
    this.#watchers.delete(path)
  }
}
