/**
 * A healthy client that appends the whole time: the server answers every append in time, with the next offset.
 */
import * as http from "node:http"
import { offsetOf } from "../../support/names.ts"
import { ask } from "./ask.ts"

export const healthyStream = "healthy"

/** The pause between an answer and the next append: a client that works, and leaves room for the others. */
const pauseMillis = 5

export class Healthy {
  readonly violations: Array<string> = []
  slowestMillis = 0
  readonly #port: number
  readonly #answerMillis: number
  readonly #done: Promise<void>
  #count: number
  #stopped = false

  /** Continues at an offset. */
  constructor(port: number, from: number, answerMillis: number) {
    this.#port = port
    this.#count = from
    this.#answerMillis = answerMillis
    this.#done = this.#run()
  }

  /** Stops, and returns the number of events in its stream. */
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
