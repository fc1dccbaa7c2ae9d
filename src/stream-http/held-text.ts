/**
 * Text on its way to a follower, without the character that is still incomplete at its end: that waits for its rest
 * (docs/protocol.md 14).
 */
import { wholePieces } from "./whole-text.ts"

/** How long the rest of a character may take: a writer that cuts text into pieces sends the next one soon. */
const restMillis = 1_000

/** How much text may wait for the rest of a character: 64 appends of 64 KiB, each of which would have to end within one. */
const heldBytesMax = 4 * 1024 * 1024

export class HeldText {
  #held: ReadonlyArray<Uint8Array> = []
  /** When the first of them came, in milliseconds. */
  #since = 0
  readonly #now: () => number

  /** `now` in milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** For how many milliseconds the text may still wait; undefined when none is held. */
  readonly millisLeft = (): number | undefined =>
    this.#held.length === 0 ? undefined : this.#since + restMillis - this.#now()

  /** Adds pieces and returns all that can be sent now; undefined when all of it must wait. Keeps the pieces. */
  add(pieces: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> | undefined {
    const all = [...this.#held, ...pieces]
    const whole = wholePieces(all)
    if (whole > 0 || this.#held.length === 0) this.#since = this.#now()
    this.#held = all.slice(whole)
    if (whole > 0) return all.slice(0, whole)
    return bytesOf(all) < heldBytesMax ? undefined : this.flush()
  }

  /** Returns all that is held, whole or not. */
  flush(): ReadonlyArray<Uint8Array> {
    const held = this.#held
    this.#held = []
    return held
  }
}

const bytesOf = (pieces: ReadonlyArray<Uint8Array>): number => {
  let bytes = 0
  for (const piece of pieces) bytes += piece.length
  return bytes
}
