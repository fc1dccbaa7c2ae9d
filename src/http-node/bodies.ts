/**
 * What the bodies of all requests take of memory, and no more than the limit says. When they would take more, the body that
 * has been under way longest is refused: it waits for its client, and bodies that arrive quickly are not to wait for it.
 * Small bodies are not counted and never refused.
 */
import { Overloaded } from "../domain/errors.ts"

/** As much as a request may have in headers, which are not counted either. */
const smallBytesMax = 16 * 1024

/** One body. */
export interface HeldBody {
  bytes: number
  /** Gives it up while it arrives; called at most once. */
  readonly refuse: (refusal: Overloaded) => void
}

export class Bodies {
  readonly #bytesMax: number
  /** Those that arrive, in the order in which they grew large. */
  readonly #arriving = new Set<HeldBody>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** The body has so many bytes now. Older ones may be refused for it, or it is itself. */
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

  /** All of it is there; it is counted until it is released. Answers whether it has to be. */
  complete(body: HeldBody): boolean {
    return this.#arriving.delete(body)
  }

  /** The body takes no memory any more; more than once is as good as once. */
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
