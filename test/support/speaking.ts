/**
 * Short ways to speak the Durable Streams Protocol to a server of a test.
 */
import { SseReader } from "./sse-reader.ts"

const address = (port: number, name: string, query = ""): string => `http://127.0.0.1:${port}/v1/stream/${name}${query}`

type Headers = Readonly<Record<string, string>>
type Body = string | Uint8Array<ArrayBuffer>

const send = (method: string) => (port: number, name: string, headers: Headers = {}, body?: Body) =>
  fetch(address(port, name), { method, headers, ...(body === undefined ? {} : { body }) })

export const put = send("PUT")
export const post = send("POST")
export const remove = send("DELETE")
export const head = send("HEAD")

export const get = (port: number, name: string, query = "", headers: Headers = {}) =>
  fetch(address(port, name, query), { headers })

export const json = { "content-type": "application/json" }
export const text = { "content-type": "text/plain" }
export const closing = { "stream-closed": "true" }

/** A stream of text, with one event for each of the pieces. */
export const putText = async (port: number, name: string, ...pieces: ReadonlyArray<Body>): Promise<void> => {
  await put(port, name, text)
  for (const piece of pieces) await post(port, name, text, piece)
}

export interface Control {
  readonly streamNextOffset: string
  readonly streamCursor?: string
  readonly upToDate?: boolean
  readonly streamClosed?: boolean
}

export interface SseEvent {
  readonly type: string
  readonly id: string
  readonly data: string
}

/** A reader of `live=sse` that parses frames as WHATWG HTML 9.2 says. */
export class Live {
  readonly #follower: SseReader

  private constructor(follower: SseReader) {
    this.#follower = follower
  }

  get status(): number {
    return this.#follower.status
  }

  get headers(): Headers {
    return this.#follower.headers
  }

  static async open(port: number, name: string, query: string, headers: Headers = {}): Promise<Live> {
    return new Live(await SseReader.open(port, `/v1/stream/${name}?live=sse&${query}`, headers))
  }

  /** The next event; undefined at the proper end of the answer. */
  async event(): Promise<SseEvent | undefined> {
    const frame = await this.#follower.frame()
    if (frame === undefined) return undefined
    const of = (field: string) =>
      frame.text.split("\n").filter((line) => line.startsWith(`${field}:`)).map((line) =>
        line.slice(field.length + 1).replace(/^ /, "")
      )
    return { type: of("event")[0] ?? "", id: of("id")[0] ?? "", data: of("data").join("\n") }
  }

  /** The next batch: its data, if it has any, and its control event. */
  async batch(): Promise<{ readonly data: string | undefined; readonly control: Control }> {
    let event = await this.event()
    const data = event?.type === "data" ? event.data : undefined
    if (data !== undefined) event = await this.event()
    if (event?.type !== "control") throw new Error(`This is no control event: ${JSON.stringify(event)}`)
    return { data, control: JSON.parse(event.data) as Control }
  }

  close(): void {
    this.#follower.close()
  }
}
