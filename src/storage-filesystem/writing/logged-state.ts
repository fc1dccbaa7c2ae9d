/**
 * The state of an open log, and where in the log it is written (docs/storage-format.md 4). Now and then a commit carries the
 * whole state, so that an opening reads a bounded piece of the log.
 */
import type { StateChange } from "../../storage/storage.ts"
import { applyState } from "../../storage/storage.ts"
import type { StateEntry } from "../format/record-codec.ts"
import { stateText } from "../format/record-codec.ts"

/**
 * Bytes of commits that an opening reads for the state. With much less, writing the whole state so often would cost; with
 * much more, reading it.
 */
const replayBytesMin = 256 * 1024

/** The whole state is written again when this many times its size of commits have followed it: an eighth of the log, at most. */
const replayStates = 8

export class LoggedState {
  readonly entries: Map<string, string>
  /** Where the newest commit with the whole state begins; undefined in a log that never had a state. */
  #from: number | undefined
  /** How long that state is. */
  #bytes = 0

  constructor(entries: Map<string, string>, from: number | undefined) {
    this.entries = entries
    this.#from = from
  }

  /** The entry for a commit at `position`: the whole state if that is due, else the changes. */
  entryFor(changes: ReadonlyArray<StateChange>, position: number): StateEntry | undefined {
    if (this.#from === undefined && changes.length === 0) return undefined
    if (this.#from !== undefined && position - this.#from <= Math.max(replayBytesMin, replayStates * this.#bytes)) {
      return { text: changes.length === 0 ? undefined : stateText(changes), back: position - this.#from }
    }
    const all = new Map(this.entries)
    applyState(all, changes)
    return { text: stateText(all), back: 0 }
  }

  /** The commit at `position`, which carries the entry, is durable. */
  add(entry: StateEntry | undefined, changes: ReadonlyArray<StateChange>, position: number): void {
    if (entry === undefined) return
    if (entry.back === 0) this.#bytes = entry.text!.length
    this.#from = position - entry.back
    applyState(this.entries, changes)
  }
}
