/**
 * Checks one log from its first byte to its last (docs/storage-format.md 3, 4 and 6): every sum, every offset, every place
 * that a trailer names. It changes nothing.
 */
import { Effect } from "effect"
import { toOffset } from "../../domain/types.ts"
import type { StreamDescription } from "../../storage/storage.ts"
import type { DiskFailure, DiskFile } from "../disk/disk.ts"
import { toFileName } from "../format/file-names.ts"
import { isEventLine, lineOffset, trailerState } from "../format/record-codec.ts"
import type { Bound } from "../log/find-commit.ts"
import { findTail, tornBytesMax } from "../log/find-tail.ts"
import type { ScannedLine, Trailer } from "../log/line-scan.ts"
import { scanLines } from "../log/line-scan.ts"
import { readHeader } from "../log/log-header.ts"
import { StateHistory } from "./state-history.ts"

export interface LogFindings {
  /** Undefined if the first line is no header. */
  readonly description: StreamDescription | undefined
  /** Bytes that were checked, and events in commits that fit. */
  readonly bytes: number
  readonly events: number
  /** Every byte before this position, and every own event before this offset, is as it was written. */
  readonly sound: Bound
  /** The first damage; undefined if at most the end is torn. */
  readonly damage: Damage | undefined
  /** Where the state is first one that cannot be, though every sum fits: from there on, appends may be doubled or missing. */
  readonly misled: Misled | undefined
  /** Whether bytes follow the last whole commit. */
  readonly end: "whole" | "torn" | "never made"
  /** Where the last whole commit ends, and how many bytes follow it. */
  readonly wholeTo: number
  readonly torn: number
}

interface Misled {
  readonly position: number
  /** No event before this offset depended on the wrong state. */
  readonly offset: number
  readonly problem: string
}

interface Damage {
  readonly position: number
  /** A sentence without its full stop. */
  readonly problem: string
  /** How many places in the log are damaged; commits in a row are one place. */
  readonly places: number
}

/** `key` is the name of the log's file while it is not hidden. */
export const verifyLog = Effect.fnUntraced(function*(
  file: DiskFile,
  key: string
): Effect.fn.Return<LogFindings, DiskFailure> {
  const size = yield* file.size
  const header = yield* readHeader(file)
  const description = header?.description
  const first = description?.forkedFrom?.offset ?? 0
  const scan = new Scan(first)
  yield* scanLines(file, size, (line) => scan.line(line, file))
  const { damage: hurt, events, misled, sound, wholeTo } = scan
  const found = { description, bytes: size, events, sound, damage: hurt, misled, wholeTo }
  const foreign = description === undefined
    ? "its first line is no header that this version knows"
    : toFileName(description.name) === key
    ? undefined
    : `it is the log of ${JSON.stringify(description.name)}, under another one's name`
  const fromStart = (problem: string): LogFindings => ({
    ...found,
    sound: { offset: first, position: 0 },
    damage: { position: 0, problem, places: Math.max(1, scan.damage?.places ?? 0) },
    end: "whole",
    torn: 0
  })

  const rest = size - wholeTo
  const logEnd = rest > 0 && rest <= tornBytesMax ? yield* findTail(file, first) : undefined
  if (scan.lines === 0 && (size === 0 || logEnd === "empty")) return { ...found, end: "never made", torn: 0 }
  if (foreign !== undefined) return fromStart(foreign)
  if (rest === 0) return { ...found, end: "whole", torn: 0 }
  if (logEnd === undefined) {
    const problem = `nothing in the ${rest} bytes from there on fits, which is more than a torn write leaves`
    return { ...found, damage: scan.damage ?? { position: wholeTo, problem, places: 1 }, end: "whole", torn: 0 }
  }
  if (typeof logEnd === "string") return fromStart(scan.damage?.problem ?? misfit)
  // Only `findTail` finds a commit that is whole behind a damaged trailer.
  const damage = logEnd.size > wholeTo ? { position: wholeTo, problem: misfit, places: 1 } : undefined
  return {
    ...found,
    damage: scan.damage ?? damage,
    wholeTo: logEnd.size,
    end: size > logEnd.size ? "torn" : "whole",
    torn: size - logEnd.size
  }
})

const misfit = "the commit that begins there does not fit its checksum"

/** Checks the lines in order. */
class Scan {
  lines = 0
  events = 0
  damage: Damage | undefined
  misled: Misled | undefined
  sound: Bound
  /** Where the last commit that fits ends. */
  wholeTo = 0
  /** The offset that is due; -1 if damage leaves it open. */
  #next: number
  #commitAt = 0
  #inCommit = 0
  /** A fault of a commit that its sum does not show. */
  #odd: Omit<Damage, "places"> | undefined
  /** Where the commits that do not fit begin; undefined while they do. */
  #misfitAt: number | undefined
  /** Where the newest commit with the whole state begins; undefined before the first, "lost" behind damage. */
  #stateAt: number | "lost" | undefined
  readonly #state = new StateHistory()
  /** The offset behind the newest commit with the whole state. */
  #stateSound: number

  constructor(first: number) {
    this.#next = this.#stateSound = first
    this.sound = { offset: first, position: 0 }
  }

  /** Checks a line. Returns an effect if the end of the line must be read again. */
  line(line: ScannedLine, file: DiskFile): Effect.Effect<void, DiskFailure> | undefined {
    this.lines++
    this.#look(line)
    const { end, trailer } = line
    if (trailer === undefined) return undefined
    const at = this.#commitAt
    this.#commit(end, trailer)
    if (!trailer.fits) this.#state.forget()
    if (!trailer.fits || trailer.back === undefined) return undefined
    if (trailer.bytes !== undefined) return void this.#follow(at, trailer.bytes)
    return Effect.map(readAt(file, end - trailer.length, trailer.length), (bytes) => this.#follow(at, bytes))
  }

  /** Checks the state in the commit at the position, which ends with these bytes. */
  #follow(position: number, bytes: Buffer) {
    const { back, text } = trailerState(bytes, 0, bytes.length) ?? {}
    if (text === undefined) return
    const problem = this.#state.take(text, back === 0)
    if (problem !== undefined) {
      this.misled ??= { position, offset: this.#stateSound, problem: `the state in the commit there ${problem}` }
    }
    if (back === 0) this.#stateSound = Math.max(this.#stateSound, this.#next)
  }

  #look({ at, bytes, start, trailer }: ScannedLine) {
    if (start === 0) return
    if (isEventLine(bytes, at) && startsWith(bytes, at, eventLead)) {
      const offset = lineOffset(bytes, at)
      if (this.#next < 0) this.#next = offset
      const due = this.#next + this.#inCommit++
      if (offset === due) return
      const has = offset < 0 ? "has no offset" : `has the offset ${toOffset(offset)}`
      this.#odd ??= { position: start, problem: `the event there ${has}, where ${toOffset(due)} is due` }
    } else if (trailer === undefined || this.#inCommit > 0 || !startsWith(bytes, at, stateLead)) {
      this.#odd ??= { position: start, problem: "the line there is neither an event nor the end of a commit" }
    }
  }

  #commit(end: number, trailer: Trailer) {
    const at = this.#commitAt
    if (trailer.fits) {
      this.#checkState(at, trailer.back)
      if (this.#misfitAt !== undefined) this.#hurt({ position: this.#misfitAt, problem: misfit })
      if (this.#odd !== undefined) this.#hurt(this.#odd)
      this.#misfitAt = undefined
      if (this.#next >= 0) this.#next += this.#inCommit
      this.events += this.#inCommit
      this.wholeTo = end
      if (this.damage === undefined) this.sound = { offset: this.#next, position: end }
    } else {
      this.#misfitAt ??= at
      this.#next = -1
      this.#stateAt = "lost"
    }
    this.#commitAt = end
    this.#inCommit = 0
    this.#odd = undefined
  }

  #checkState(at: number, back: number | undefined) {
    // The header's trailer is always a plain one.
    const known = this.#stateAt
    if (back === undefined) {
      if (typeof known === "number") {
        this.#odd ??= { position: at, problem: "the commit there does not say where the state begins" }
      }
      return
    }
    if (back === 0) this.#stateAt = at
    else if (back > 0 && known === "lost") this.#stateAt = at - back
    else if (at - back !== known) {
      this.#odd ??= { position: at, problem: "the commit there says that the state begins where it does not" }
    }
  }

  #hurt({ position, problem }: Omit<Damage, "places">) {
    const places = (this.damage?.places ?? 0) + 1
    this.damage = { ...(this.damage ?? { position, problem }), places }
  }
}

const readAt = (file: DiskFile, position: number, length: number) =>
  Effect.suspend(() => {
    const bytes = Buffer.alloc(length)
    return Effect.map(file.read(bytes, length, position), () => bytes)
  })

const eventLead = `{"offset":"`
const stateLead = `{"commit":{`

const startsWith = (bytes: Buffer, at: number, text: string): boolean =>
  bytes.toString("latin1", at, at + text.length) === text
