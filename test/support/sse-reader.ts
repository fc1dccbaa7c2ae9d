/**
 * A reader of Server-Sent Events over a bare socket, frame by frame (WHATWG HTML 9.2).
 */
import { request, Wire } from "./wire.ts"

export interface Frame {
  /** All of the frame, without the empty line that ends it. */
  readonly text: string
  readonly id: string | undefined
  readonly event: string | undefined
  readonly data: string | undefined
}

export class SseReader {
  readonly wire: Wire
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  #text = ""
  readonly #decoder = new TextDecoder("utf-8", { fatal: true })

  private constructor(wire: Wire, status: number, headers: Readonly<Record<string, string>>) {
    this.wire = wire
    this.status = status
    this.headers = headers
  }

  static async open(port: number, target: string, headers: Readonly<Record<string, string>> = {}): Promise<SseReader> {
    return SseReader.on(await Wire.open(port), target, headers)
  }

  /** Opens the reader on an existing connection. */
  static async on(wire: Wire, target: string, headers: Readonly<Record<string, string>> = {}): Promise<SseReader> {
    const head = await wire.send(request("GET", target, headers)).head()
    return new SseReader(wire, head.status, head.headers)
  }

  /** The next frame of any kind, or a comment, which has one line; undefined at the proper end of the answer. */
  async frame(): Promise<Frame | undefined> {
    const ending = () => this.#text.startsWith(":") ? "\n" : "\n\n"
    let end: number
    while ((end = this.#text.indexOf(ending())) < 0) {
      const chunk = await this.wire.chunk()
      if (chunk === undefined) return undefined
      this.#text += this.#decoder.decode(chunk, { stream: true })
    }
    const text = this.#text.slice(0, end)
    this.#text = this.#text.slice(end + ending().length)
    const lines = text.split("\n")
    const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
    return { text, id: field("id"), event: field("event"), data: field("data") }
  }

  /** The next frame that holds an event, a closing or a problem. */
  async event(): Promise<Frame> {
    while (true) {
      const frame = await this.frame()
      if (frame === undefined) throw new Error("The following ended.")
      if (frame.data !== undefined && frame.event !== "connected") return frame
    }
  }

  async events(count: number): Promise<ReadonlyArray<Frame>> {
    const frames: Array<Frame> = []
    while (frames.length < count) frames.push(await this.event())
    return frames
  }

  close(): void {
    this.wire.close()
  }
}
