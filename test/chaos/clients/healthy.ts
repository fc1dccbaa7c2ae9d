/**
 * Somebody who means well and appends all the while: every append is answered in time, and has the next offset.
 */
import * as http from "node:http"
import { offsetOf } from "../../support/names.ts"
import { ask } from "./ask.ts"

export const healthyStream = "healthy"

/** Between an answer and the next append: a client that works, and leaves the others room. */
const pauseMillis = 5

export class Healthy {
  readonly violations: Array<string> = []
  slowestMillis = 0
  readonly #port: number
  readonly #answerMillis: number
  readonly #done: Promise<void>
  #count: number
  #stopped = false

  /** Goes on at an offset. */
  constructor(port: number, from: number, answerMillis: number) {
    this.#port = port
    this.#count = from
    this.#answerMillis = answerMillis
    this.#done = this.#run()
  }

  /** Stops, and tells how many events its stream has. */
  async stop(): Promise<number> {
    this.#stopped = true
    await this.#done
    return this.#count
  }

  async #run(): Promise<void> {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    while (!this.#stopped) {
      const from = performance.now()
      const answer = await ask(this.#port, `/streams/${healthyStream}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: `{"data":${this.#count}}`,
        agent
      })
      const millis = performance.now() - from
      this.slowestMillis = Math.max(this.slowestMillis, millis)
      const what = `The append ${this.#count} of a healthy client`
      if (millis > this.#answerMillis) this.violations.push(`${what} took ${Math.round(millis)} ms`)
      if (answer?.status !== 201 || !answer.text.includes(`"offset":"${offsetOf(this.#count)}"`)) {
        this.violations.push(`${what} was answered ${answer?.status} ${answer?.text.slice(0, 200)}`)
      }
      this.#count++
      await new Promise((resolve) => setTimeout(resolve, pauseMillis))
    }
    agent.destroy()
  }
}
