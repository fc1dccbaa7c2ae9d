/**
 * Workers of one subscription (PROTOCOL 7): one of them holds its lease, and the others wait for the lease to end.
 */
import { ask } from "./ask.ts"
import { protocolPath } from "./doors.ts"

const path = protocolPath("__ds/subscriptions/workers").replaceAll("%2F", "/")

export class Workers {
  readonly #port: number
  readonly #leaseMillis: number
  #claimed: { readonly wake_id: string; readonly generation: number; readonly token: string } | undefined

  constructor(port: number, leaseMillis: number) {
    this.#port = port
    this.#leaseMillis = leaseMillis
  }

  /** Creates the subscription, and the stream to which its wakes are written. */
  async subscribe(stream: string): Promise<void> {
    await ask(this.#port, protocolPath("wakes"), { method: "PUT", headers: json })
    await ask(this.#port, path, {
      method: "PUT",
      headers: json,
      body: JSON.stringify({
        type: "pull-wake",
        streams: [stream],
        wake_stream: "wakes",
        lease_ttl_ms: this.#leaseMillis
      })
    })
  }

  /**
   * Returns the status of the answer: 200 if the worker has the work now, 409 if another worker has it or there is no
   * work.
   */
  async claim(worker: string): Promise<number> {
    const answer = await ask(this.#port, `${path}/claim`, {
      method: "POST",
      headers: json,
      body: JSON.stringify({ worker })
    })
    if (answer?.status === 200) this.#claimed = JSON.parse(answer.text)
    return answer?.status ?? 0
  }

  /** Releases the lease of the last claim. */
  async release(): Promise<void> {
    const { generation, token, wake_id } = this.#claimed!
    await ask(this.#port, `${path}/release`, {
      method: "POST",
      headers: { ...json, authorization: `Bearer ${token}` },
      body: JSON.stringify({ wake_id, generation })
    })
  }
}

const json = { "content-type": "application/json" }
