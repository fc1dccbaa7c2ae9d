/**
 * The state that a server of the protocol has to keep, in memory: streams by name, each with its messages or bytes,
 * inherited ones included. Offsets are opaque here too: a stream knows the offsets it was given, and their positions.
 */

/** One message of a JSON stream, as canonical text; or one byte. */
export type Unit = string | number

/** The origin that a request for a fork names. */
export interface Origin {
  readonly source: ModelStream
  /** How many units are before the offset; that is the tail if the request named none. */
  readonly anchor: number
  readonly isTail: boolean
  readonly sub: number
}

export const originAt = (source: ModelStream, token: string | undefined, sub: number): Origin => ({
  source,
  anchor: source.positionOf(token),
  isTail: token === undefined,
  sub
})

export class ModelStream {
  readonly isJson: boolean
  readonly origin: Origin | undefined
  units: ReadonlyArray<Unit>
  /** The positions where one append ends and the next begins, ascending. */
  readonly ends: Array<number>
  closed: boolean
  /** Deleted, and kept for its forks. */
  hidden = false
  forks = 0
  readonly producers = new Map<string, { epoch: number; seq: number }>()
  readonly #tokens = new Map<string, number>()

  private constructor(isJson: boolean, closed: boolean, units: ReadonlyArray<Unit>, origin: Origin | undefined) {
    this.isJson = isJson
    this.closed = closed
    this.units = units
    this.origin = origin
    this.ends = []
  }

  static made(isJson: boolean, closed: boolean, first: ReadonlyArray<Unit>): ModelStream {
    const made = new ModelStream(isJson, closed, [], undefined)
    if (first.length > 0) made.append(first)
    return made
  }

  /** A fork is open, whether its source is or not, and knows the source's offsets up to its beginning. */
  static forked(origin: Origin): ModelStream {
    const { source } = origin
    const at = origin.anchor + origin.sub
    const fork = new ModelStream(source.isJson, false, source.units.slice(0, at), origin)
    fork.ends.push(...source.ends.filter((end) => end < at), at)
    for (const [token, position] of source.#tokens) if (position <= at) fork.#tokens.set(token, position)
    source.forks++
    return fork
  }

  append(units: ReadonlyArray<Unit>): void {
    this.units = [...this.units, ...units]
    this.ends.push(this.units.length)
  }

  /** The offsets it was given, in the order of their first appearance. */
  get tokens(): ReadonlyArray<string> {
    return [...this.#tokens.keys()]
  }

  /** How many units are before the offset; undefined is the tail. */
  positionOf(token: string | undefined): number {
    if (token === undefined) return this.units.length
    if (token === "-1") return 0
    const position = this.#tokens.get(token)
    if (position === undefined) throw new Error(`${token} was never given out.`)
    return position
  }

  /** How far a sub-offset may go from there: to the end of the append that begins or goes on there. */
  roomAt(position: number): number {
    return (this.ends.find((end) => end > position) ?? position) - position
  }

  /** Records the position of an offset; fails if the offset had another one, or is out of order as text. */
  learn(token: string, position: number): void {
    for (const [known, at] of this.#tokens) {
      const isRight = known === token ? at === position : known < token ? at <= position : at >= position
      if (!isRight) throw new Error(`Offset ${token} stands for ${position}, and ${known} for ${at}.`)
    }
    this.#tokens.set(token, position)
  }

  /** The status that PROTOCOL 5.2.1 gives to an append with these numbers. */
  judge(id: string, epoch: number, seq: number): 200 | 204 | 400 | 403 | 409 {
    const state = this.producers.get(id)
    if (state === undefined) return seq === 0 ? 200 : 409
    if (epoch < state.epoch) return 403
    if (epoch > state.epoch) return seq === 0 ? 200 : 400
    if (seq <= state.seq) return 204
    return seq === state.seq + 1 ? 200 : 409
  }
}

export class Model {
  readonly #streams = new Map<number, ModelStream>()

  /** The stream in this place, hidden or not. */
  at(slot: number): ModelStream | undefined {
    return this.#streams.get(slot)
  }

  get slots(): ReadonlyArray<number> {
    return [...this.#streams.keys()]
  }

  put(slot: number, stream: ModelStream): void {
    this.#streams.set(slot, stream)
  }

  /** Removes or hides it, and removes the streams that were kept for it alone; returns the places that are free now. */
  delete(slot: number): ReadonlyArray<number> {
    const stream = this.#streams.get(slot)!
    stream.hidden = stream.forks > 0
    return stream.hidden ? [] : this.#forget(slot, stream)
  }

  #forget(slot: number, stream: ModelStream): ReadonlyArray<number> {
    this.#streams.delete(slot)
    const source = stream.origin?.source
    if (source === undefined) return [slot]
    source.forks--
    if (!source.hidden || source.forks > 0) return [slot]
    const next = this.slots.find((each) => this.#streams.get(each) === source)!
    return [slot, ...this.#forget(next, source)]
  }
}
