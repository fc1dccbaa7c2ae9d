/**
 * A `node:http` request as an `Incoming`.
 */
import { Effect, Exit } from "effect"
import type * as Http from "node:http"
import type { Overloaded } from "../domain/errors.ts"
import { InvalidRequest, PayloadTooLarge } from "../domain/errors.ts"
import type { BodyRefused, Done, Incoming } from "../http/exchange.ts"
import { framingFault } from "../http/guard.ts"
import type { Bodies, HeldBody } from "./bodies.ts"

/** Long enough for the answer to cross a slow line. The server drops the bytes that arrive meanwhile. */
const discardFor = "1 second"

export class NodeIncoming implements Incoming {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly stopping: Effect.Effect<void>
  readonly #request: Http.IncomingMessage
  readonly #response: Http.ServerResponse
  readonly #bodies: Bodies

  constructor(
    request: Http.IncomingMessage,
    response: Http.ServerResponse,
    bodies: Bodies,
    stopping: Effect.Effect<void>
  ) {
    this.method = request.method ?? ""
    this.target = request.url ?? ""
    this.version = request.httpVersion
    this.stopping = stopping
    this.#request = request
    this.#response = response
    this.#bodies = bodies
    this.hasRefusedBody = framingFault(this) !== undefined
  }

  /** Searches the few headers that came: building Node's table of them costs more than all the lookups of a request. */
  header(name: string): string | undefined {
    const { rawHeaders } = this.#request
    let value: string | undefined
    for (let i = 0; i < rawHeaders.length; i += 2) {
      if (!isNamed(rawHeaders[i]!, name)) continue
      // Node knows which headers are joined, and which of two counts in the others.
      if (value !== undefined) return joinValues(this.#request.headers[name])
      value = rawHeaders[i + 1]!
    }
    return value
  }

  headerCount(name: string): number {
    const { rawHeaders } = this.#request
    let count = 0
    for (let i = 0; i < rawHeaders.length; i += 2) {
      if (isNamed(rawHeaders[i]!, name)) count++
    }
    return count
  }

  /** Whether the connection cannot be used again, because bytes of a refused body are still under way. */
  hasRefusedBody: boolean

  /** Reads on for a moment and keeps nothing, so that the client can send all of its body and then read the answer. */
  get discardRest(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const done = () => resume(Effect.void)
      this.#request.once("end", done).once("close", done).resume()
    }).pipe(Effect.timeout(discardFor), Effect.ignore)
  }

  body(bytesMax: number): Effect.Effect<Uint8Array, BodyRefused> {
    return Effect.callback((resume) => this.bodyUnsafe(bytesMax, resume))
  }

  bodyUnsafe(bytesMax: number, done: Done<Uint8Array, BodyRefused>): void {
    const request = this.#request
    const refuse = (refusal: PayloadTooLarge | Overloaded) => {
      this.hasRefusedBody = true
      request.pause()
      done(Exit.fail(refusal))
    }
    const tooLarge = () => refuse(new PayloadTooLarge({ bytesMax }))
    if (Number(this.header("content-length") ?? 0) > bytesMax) return tooLarge()
    if (this.header("expect") !== undefined) this.#response.writeContinue()
    const body = new BodyBuffer(this.header("content-length"))
    const onData = (chunk: Buffer) => {
      if (body.size + chunk.length > bytesMax) {
        stop()
        this.#bodies.release(held)
        tooLarge()
      } else {
        body.add(chunk)
        this.#bodies.grow(held, body.size)
      }
    }
    // No event follows the end of a body, so the listeners stay: they are freed with the request.
    const onEnd = () => {
      if (this.#bodies.complete(held)) this.#response.once("close", () => this.#bodies.release(held))
      done(Exit.succeed(body.bytes))
    }
    const onError = () => {
      stop()
      this.#bodies.release(held)
      done(Exit.fail(new InvalidRequest({ message: "The body ended before its end." })))
    }
    const stop = () => {
      request.off("data", onData)
      request.off("end", onEnd)
      request.off("error", onError)
    }
    const held: HeldBody = {
      bytes: 0,
      refuse: (refusal) => {
        stop()
        refuse(refusal)
      }
    }
    request.on("data", onData)
    request.on("end", onEnd)
    request.on("error", onError)
  }
}

/**
 * Collects the bytes of a body in little more memory than their size, even if they come in many small chunks. A chunk of one
 * byte, kept apart until the end, would take some hundred. A body that comes in one chunk is not copied.
 */
class BodyBuffer {
  size = 0
  readonly #contentLength: number | undefined
  readonly #pieces: Array<Buffer> = []
  /** The bytes from `#from` to `#to` are in no piece yet. */
  #memory: Buffer = noBytes
  #from = 0
  #to = 0

  constructor(contentLength: string | undefined) {
    this.#contentLength = contentLength === undefined ? undefined : Number(contentLength)
  }

  add(chunk: Buffer): void {
    const isFirst = this.size === 0
    this.size += chunk.length
    if (isFirst || (this.#contentLength === undefined && chunk.length >= copiedBytesMax)) {
      this.#seal()
      this.#pieces.push(chunk)
      return
    }
    if (this.#to + chunk.length > this.#memory.length) this.#renew()
    this.#to += chunk.copy(this.#memory, this.#to)
  }

  get bytes(): Buffer {
    this.#seal()
    return this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.size)
  }

  #renew(): void {
    this.#seal()
    this.#memory = Buffer.allocUnsafeSlow(this.#contentLength ?? memoryBytes)
    this.#from = 0
    // The whole body fits, so `bytes` has nothing to join.
    this.#to = this.#contentLength === undefined ? 0 : this.#pieces.pop()!.copy(this.#memory)
  }

  #seal(): void {
    if (this.#to > this.#from) this.#pieces.push(this.#memory.subarray(this.#from, this.#to))
    this.#from = this.#to
  }
}

const noBytes = Buffer.alloc(0)

/** Node reads as much from a socket at once. */
const memoryBytes = 64 * 1024

/** Larger chunks are kept as they are: they fill most of their memory. */
const copiedBytesMax = 4 * 1024

const isNamed = (header: string, name: string): boolean =>
  header.length === name.length && (header === name || header.toLowerCase() === name)

const joinValues = (value: string | Array<string> | undefined): string | undefined =>
  Array.isArray(value) ? value.join(", ") : value
