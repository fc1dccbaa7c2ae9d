/**
 * The storage that keeps everything in memory, while the process lives. A log is a list of slabs into which events are
 * copied; large blocks are kept as they come.
 */
import { Effect, Layer } from "effect"
import { LogDamaged, StreamNotFound } from "../domain/errors.ts"
import type { EventBlock, StreamName } from "../domain/types.ts"
import { toOffset } from "../domain/types.ts"
import { emptyBlock, sliceBlock } from "../event/event-block.ts"
import { GrowingBlock, sizeOf } from "../event/growing-block.ts"
import { SortedNames } from "./sorted-names.ts"
import type { Commit, Log, StreamDescription } from "./storage.ts"
import { applyState, Storage } from "./storage.ts"

export const layerMemory: Layer.Layer<Storage> = Layer.sync(Storage, () => {
  const logs = new Map<StreamName, MemoryLog>()
  const listed = new SortedNames()
  const withLog = <A>(name: StreamName, use: (log: MemoryLog) => A) =>
    Effect.suspend(() => {
      const log = logs.get(name)
      return log === undefined ? Effect.fail(new StreamNotFound({ stream: name })) : Effect.sync(() => use(log))
    })

  return Storage.of({
    kind: "memory",
    open: (name) => withLog(name, (log) => log.open()),
    describe: (name) => withLog(name, (log) => log.description),
    create: (description, first) =>
      Effect.sync(() => {
        const { forkedFrom } = description
        const source = forkedFrom === undefined ? undefined : logs.get(forkedFrom.stream)
        const log = new MemoryLog(description, source?.description.id === forkedFrom?.id ? source : undefined)
        log.append(first)
        logs.set(description.name, log)
        listed.add(description.name)
        return log.open()
      }),
    list: (wanted) => Effect.sync(() => listed.list(wanted)),
    atStart: Effect.sync(() => ({
      listed: listed.list(),
      expiring: [...logs.values()].map(({ description }) => description)
        .filter(({ expiresAt, ttlSeconds }) => ttlSeconds !== undefined || expiresAt !== undefined)
        .map(({ name }) => name)
    })),
    trouble: Effect.undefined,
    hide: (name) =>
      withLog(name, (log) => {
        log.hidden = true
        listed.delete(name)
      }),
    delete: (name) =>
      withLog(name, () => {
        logs.delete(name)
        listed.delete(name)
      })
  })
})

/** Bytes of one slab: a catch-up takes few reads of this size, and a quiet stream wastes little. */
const slabBytes = 64 * 1024

/** A block of at least so many bytes is kept as it comes: copying it would only cost. */
const blockBytesMin = slabBytes / 2

class MemoryLog {
  readonly #blocks: Array<GrowingBlock | EventBlock> = []
  readonly #state = new Map<string, string>()
  readonly #source: MemoryLog | undefined
  readonly #base: number
  #tail: number
  #touchedAt = 0
  hidden = false
  readonly description: StreamDescription

  constructor(description: StreamDescription, source: MemoryLog | undefined) {
    this.description = description
    this.#source = source
    this.#base = this.#tail = description.forkedFrom?.offset ?? 0
  }

  append({ events, state }: Commit): void {
    if (events.count > 0) this.#keep(events)
    applyState(this.#state, state)
  }

  #keep(events: EventBlock): void {
    const size = sizeOf(events)
    const last = this.#blocks.at(-1)
    if (size >= blockBytesMin) this.#blocks.push(events)
    else if (!(last instanceof GrowingBlock) || last.add(events) === undefined) {
      // A stream's first slab is small: most streams stay small.
      const slab = new GrowingBlock(this.#tail, Math.max(size, last === undefined ? slabBytes / 16 : slabBytes))
      slab.add(events)
      this.#blocks.push(slab)
    }
    this.#tail += events.count
  }

  open(): Log {
    return {
      description: this.description,
      hidden: this.hidden,
      tail: this.#tail,
      state: this.#state,
      touchedAt: this.#touchedAt,
      commit: (commit) => Effect.sync(() => this.append(commit)),
      read: (from) => Effect.suspend(() => this.#read(from)),
      touch: (at) => Effect.sync(() => void (this.#touchedAt = at))
    }
  }

  #read(from: number): Effect.Effect<EventBlock, LogDamaged> {
    if (from >= this.#base) return Effect.succeed(this.#readOwn(from))
    if (this.#source === undefined) {
      return Effect.fail(new LogDamaged({ stream: this.description.name, offset: toOffset(from) }))
    }
    return Effect.map(this.#source.#read(from), (block) => sliceBlock(block, from, this.#base - from))
  }

  /** Returns one block at most: it is about as long as a read wants to be. */
  #readOwn(from: number): EventBlock {
    let low = 0
    let high = this.#blocks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#blocks[middle]!.first <= from) low = middle
      else high = middle - 1
    }
    const block = this.#blocks[low]
    if (block === undefined || from >= this.#tail) return emptyBlock(from)
    return block instanceof GrowingBlock ? block.from(from) : sliceBlock(block, from)
  }
}
