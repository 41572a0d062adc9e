import { type FSWatcher, watch } from 'node:fs'

/**
 * Wakes one waiting caller: when a watched file changes, if the system supports it, and at the latest after the
 * requested time.
 */
export class FileWatch {
  #rung = false
  #wake: (() => void) | undefined
  readonly #watchers = new Map<string, FSWatcher>()

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  /**
   * Wakes the caller when the file or directory changes. If a watch fails, the next call retries it; the time limit
   * still applies.
   */
  watch(path: string): void {
    if (this.#watchers.has(path)) return
    try {
      const watcher = watch(path, { persistent: false }, () => this.ring())
      watcher.on('error', () => this.#drop(path))
      this.#watchers.set(path, watcher)
    } catch {
      // The file does not exist yet, or no watches are left.
    }
  }

  /** Waits for a change. Returns at once if there was one since the last wait. */
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
