/**
 * A follower on a bare socket that reads only when it is told to. While it does not read, the system's buffers fill,
 * and then the server's. It keeps nothing of the data but the position of the last event.
 */
import * as net from "node:net"
import { offsetOf } from "../../support/names.ts"

/** The text that every event's frame contains once; the events consist of `x`es and do not contain it. */
const mark = Buffer.from(`data: {"offset":"`)
const digitCount = 16

export class SlowReader {
  readonly #socket: net.Socket
  /** The end of the data so far, in which a mark may have begun. */
  #rest: Buffer = Buffer.alloc(0)
  #text = ""
  /** The bytes of the body after the last mark: an event that is cut short has too few. */
  #behind = 0
  readonly #bytesMin: number
  /** The offset of the next event. */
  next: number
  over = false
  /** The first fault in the received data. */
  fault: string | undefined
  #wake = () => {}

  /** Follows from the offset a stream whose events have at least `bytesMin` bytes. */
  constructor(port: number, stream: string, from: number, bytesMin: number) {
    this.next = from
    this.#bytesMin = bytesMin
    const socket = net.connect(port, "127.0.0.1")
    this.#socket = socket
    socket.write(`GET /streams/${stream}?offset=${offsetOf(from)} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    socket.on("data", (bytes) => {
      this.#take(bytes)
      this.#wake()
    })
    const over = () => {
      this.over = true
      this.#wake()
    }
    socket.on("error", over).on("close", over)
  }

  /** Waits for the headers, and returns the status of the answer. */
  async opened(): Promise<number> {
    while (!this.#text.includes("\r\n\r\n") && !this.over) await this.#news()
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(this.#text)?.[1] ?? 0)
  }

  stall(): void {
    this.#socket.pause()
  }

  goOn(): void {
    this.#socket.resume()
  }

  /** Waits until it has seen every event before the offset; false if it has not in time, or cannot any more. */
  async reaches(offset: number, millis: number): Promise<boolean> {
    const until = performance.now() + millis
    while (this.next < offset && !this.over && this.fault === undefined && performance.now() < until) await this.#news()
    return this.next >= offset
  }

  async ends(millis: number): Promise<boolean> {
    const until = performance.now() + millis
    while (!this.over && performance.now() < until) await this.#news()
    return this.over
  }

  close(): void {
    this.#socket.destroy()
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 100)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #take(bytes: Buffer): void {
    if (this.#text.length < 1_000) this.#text += bytes.toString("latin1", 0, 1_000)
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    let from = 0
    while (true) {
      const at = all.indexOf(mark, from)
      if (at < 0 || at + mark.length + digitCount > all.length) break
      const offset = Number(all.toString("latin1", at + mark.length, at + mark.length + digitCount))
      this.#behind += at - from
      if (offset !== this.next) this.fault ??= `it was sent ${offset} where ${this.next} is next`
      if (this.#behind < this.#bytesMin && this.#hasOne) this.fault ??= `the event before ${offset} was cut short`
      this.#hasOne = true
      this.next = offset + 1
      this.#behind = 0
      from = at + mark.length
    }
    const keep = Math.max(from, all.length - mark.length - digitCount)
    this.#behind += keep - from
    this.#rest = Buffer.from(all.subarray(keep))
  }

  #hasOne = false
}
