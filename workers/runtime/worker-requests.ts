import type { WorkerRequest, WorkerRequestAnswer } from '@postern/contract/worker-requests.ts'
import { type ControlPlane, ControlPlaneError } from './control-plane.ts'
import type { Service } from './worker.ts'

export type WorkerRequestsOptions = {
  controlPlane: Pick<ControlPlane, 'requests' | 'request' | 'answer' | 'chunk' | 'sendChunk'>
  service: Pick<Service, 'answerRequest'>
  failed: (error: unknown) => void
}

/**
 * Fetches the API's requests to this worker, carries them out and answers, one at a time. A request that could not be
 * answered stays at the API; the next check carries it out again.
 */
export class WorkerRequests {
  readonly #options: WorkerRequestsOptions
  #looking = false
  #again = false

  constructor(parts: WorkerRequestsOptions) {
    this.#options = parts
  }

  /** Starts a check and returns at once. */
  look(): void {
    if (this.#looking) {
      this.#again = true
      return
    }
    this.#looking = true
    void this.#doAll()
      .catch(this.#options.failed)
      .finally(() => {
        this.#looking = false
        if (!this.#again) return
        this.#again = false
        this.look()
      })
  }

  async #doAll(): Promise<void> {
    const { controlPlane } = this.#options
    for (let ids = await controlPlane.requests(); ids.length > 0; ids = await controlPlane.requests()) {
      for (const id of ids) await controlPlane.answer(id, await run(this.#options, await controlPlane.request(id)))
    }
  }
}

async function run(
  { service, controlPlane }: WorkerRequestsOptions,
  request: WorkerRequest,
): Promise<WorkerRequestAnswer> {
  if (!service.answerRequest) return { outcome: 'absent' }
  try {
    return await service.answerRequest(request, {
      fetch: (n) => controlPlane.chunk(request.id, n),
      send: (n, bytes) => controlPlane.sendChunk(request.id, n, bytes),
    })
  } catch (error) {
    // The API became unreachable. The request waits there and is answered when the API is back.
    if (error instanceof ControlPlaneError) throw error
    return { outcome: 'failed', because: (error instanceof Error ? error.message : String(error)).slice(0, 300) }
  }
}
