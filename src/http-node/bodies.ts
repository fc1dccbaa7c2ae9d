/**
 * Limits the memory of the bodies of all requests. When they would pass the limit, the body that has been under way longest is
 * refused: it waits for its client, and bodies that arrive quickly must not wait for it. Small bodies are not counted and
 * never refused.
 */
import { Overloaded } from "../domain/errors.ts"

/** A request may have as many bytes of headers, which are not counted either. */
const smallBytesMax = 16 * 1024

/** One body. */
export interface HeldBody {
  bytes: number
  /** Refuses the body while it arrives; called at most once. */
  readonly refuse: (refusal: Overloaded) => void
}

export class Bodies {
  readonly #bytesMax: number
  /** The bodies that are arriving, in the order in which they grew large. */
  readonly #arriving = new Set<HeldBody>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Records the body's size. When all are too large, refuses the oldest until the rest fit; this one may be among them. */
  grow(body: HeldBody, bytes: number): void {
    if (bytes <= smallBytesMax) return
    this.#arriving.add(body)
    this.#bytes += bytes - body.bytes
    body.bytes = bytes
    for (const oldest of this.#arriving) {
      if (this.#bytes <= this.#bytesMax) return
      this.release(oldest)
      oldest.refuse(this.#refusal)
    }
  }

  /** The whole body has arrived; a large one stays counted. Returns whether the caller must release it. */
  complete(body: HeldBody): boolean {
    return this.#arriving.delete(body)
  }

  /** The body takes no memory any more. A second call changes nothing. */
  release(body: HeldBody): void {
    this.#arriving.delete(body)
    this.#bytes -= body.bytes
    body.bytes = 0
  }

  get #refusal(): Overloaded {
    return new Overloaded({
      message: `The bodies of all requests under way take as much memory as they may (${this.#bytesMax} bytes). ` +
        "Send it again in a moment, and faster; or start the server with a larger --max-bodies.",
      limit: this.#bytesMax
    })
  }
}
