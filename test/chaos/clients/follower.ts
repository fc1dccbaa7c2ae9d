/**
 * A follower of a stream. Whenever it loses the connection, it reconnects behind the last event it has seen.
 */
import * as http from "node:http"
import { offsetOf } from "../../support/names.ts"
import type { Final, Follow } from "../harness/ledger.ts"
import { toSeen } from "./doors.ts"

/** While a server restarts, the follower retries about as often as a good client does at first. */
const pauseMillis = 20

/**
 * Waits until every follower has seen every event, and ends them. Reports C13 for each follower that has not in time.
 */
export const settleFollowers = async (
  followers: ReadonlyArray<Follower>,
  finals: ReadonlyArray<Final>,
  millis: number
): Promise<ReadonlyArray<string>> => {
  const late: Array<string> = []
  for (const follower of followers) {
    const count = finals.find(({ stream }) => stream === follower.stream)?.events.length ?? 0
    if (!(await follower.hasSeen(count, millis))) {
      late.push(`C13 ${follower.stream}: ${follower.client} has seen ${follower.seen.length} of ${count}`)
    }
    follower.stop()
  }
  return late
}

export class Follower {
  readonly seen: Array<{ readonly offset: number; readonly key: string }> = []
  /** The texts of the events, exactly as the server sent them. */
  readonly texts: Array<string> = []
  readonly client: string
  readonly stream: string
  readonly #port: number
  #request: http.ClientRequest | undefined
  #stopped = false
  #held = false
  #wake = () => {}

  constructor(client: string, port: number, stream: string) {
    this.client = client
    this.stream = stream
    this.#port = port
    void this.#run()
  }

  get follow(): Follow {
    return { client: this.client, stream: this.stream, from: 0, seen: this.seen }
  }

  /** Waits until the follower has seen `count` events; false if it has not in time. */
  async hasSeen(count: number, millis: number): Promise<boolean> {
    const until = performance.now() + millis
    while (this.seen.length < count && performance.now() < until) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 50)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    return this.seen.length >= count
  }

  /** Drops the connection now, as a network does. */
  drop(): void {
    this.#request?.destroy()
  }

  /** Disconnects, and ignores all events until the follower is released. */
  hold(): void {
    this.#held = true
    this.drop()
  }

  release(): void {
    this.#held = false
  }

  stop(): void {
    this.#stopped = true
    this.#request?.destroy()
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      if (!this.#held) await this.#connection()
      await new Promise((resolve) => setTimeout(resolve, pauseMillis))
    }
  }

  #connection(): Promise<void> {
    return new Promise((resolve) => {
      const request = http.get({
        host: "127.0.0.1",
        port: this.#port,
        path: `/streams/${encodeURIComponent(this.stream)}?offset=${offsetOf(this.seen.length)}`,
        headers: { accept: "text/event-stream" },
        agent: false
      })
      this.#request = request
      request.on("error", () => resolve())
      request.on("response", (response) => {
        let text = ""
        response.setEncoding("utf8")
        response.on("data", (more: string) => {
          text += more
          const end = text.lastIndexOf("\n\n")
          if (end < 0 || response.statusCode !== 200) return
          for (const frame of text.slice(0, end).split("\n\n")) this.#take(frame)
          text = text.slice(end + 2)
          this.#wake()
        })
        response.on("error", () => {})
        response.on("close", () => resolve())
      })
    })
  }

  #take(frame: string): void {
    if (this.#held) return
    const lines = frame.split("\n")
    if (lines.some((line) => line.startsWith("event:"))) return
    const data = lines.find((line) => line.startsWith("data: "))
    if (data === undefined) return
    const text = data.slice("data: ".length)
    this.texts.push(text)
    this.seen.push(toSeen(text))
  }
}
