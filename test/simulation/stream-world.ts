/**
 * One history, applied to streams and to their model at once (`test/support/stream-model.ts`): every answer, every
 * follower and the contents after each crash are checked against the model. Hooks stand around the streams (C15): a
 * refused event is nowhere, and a shown event is there, whatever crashes follow.
 */
import type { Fiber } from "effect"
import { Effect, Exit, Layer, Option, Scope } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import type { HookError } from "../../src/hooks/hooks.ts"
import { withHooks } from "../../src/hooks/with-hooks.ts"
import { layerFileSystem } from "../../src/storage-filesystem/storage-filesystem.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import { Storage } from "../../src/storage/storage.ts"
import type { Appended, DurableStream } from "../../src/stream/durable-stream.ts"
import { makeDurableStream } from "../../src/stream/stream.ts"
import { directory } from "../support/log-fixtures.ts"
import { Random } from "../support/random.ts"
import { named, readUpTo, textsOf } from "../support/storage-fixtures.ts"
import { failing, FaultDisk } from "./fault-disk.ts"
import { ExpectedStreams } from "./stream-expected.ts"
import type { Append, Ask, Step, StreamHistory } from "./stream-history.ts"
import { slots } from "./stream-history.ts"
import { NotedHooks, veto } from "./stream-hooks.ts"

/** The number of turns after which everything that can happen has happened. */
const turnsMax = 2_000

interface ModelFollower {
  readonly slot: number
  readonly from: number
  readonly seen: Array<string>
  readonly fiber: Fiber.Fiber<unknown, unknown>
}

/** A request with its data, made once: its expected answer depends on the time of its turn. */
interface Sent {
  readonly ask: Ask
  readonly data: ReadonlyArray<string>
  exit: Exit.Exit<Appended | undefined, { readonly _tag: string }> | undefined
}

export class StreamWorld {
  /** Undefined: the storage is in memory, and neither fails nor crashes. */
  #disk: FaultDisk | undefined
  readonly #history: StreamHistory
  readonly #expected = new ExpectedStreams()
  #streams: ReadonlyArray<DurableStream<HookError>> = []
  readonly #hooks = new NotedHooks()
  #scope: Scope.Closeable | undefined
  #followers: ReadonlyArray<ModelFollower> = []
  #keys = 0
  #calls = 0
  /** The failure or crash that the next calls of the disk meet. */
  #meet: (call: string, path: string) => ReturnType<FaultDisk["before"]> = () => Effect.void

  constructor(history: StreamHistory, storage: "memory" | "disk") {
    this.#history = history
    this.#disk = storage === "disk" ? new FaultDisk() : undefined
  }

  readonly run = Effect.gen({ self: this }, function*() {
    yield* this.#wake
    for (const step of this.#history.steps) {
      yield* this.#do(step)
      const asks = step.do === "ask" || step.do === "crash" ? step.asks : []
      yield* this.#followersHaveAll(new Set(asks.filter(({ kind }) => kind === "delete").map(({ slot }) => slot)))
    }
    yield* this.#crash(this.#disk?.crash("nothing", () => 0))
    for (let slot = 0; slot < slots; slot++) this.#isExpected(slot, yield* this.#found(slot))
    yield* this.#sleep
  })

  #do(step: Step): Effect.Effect<void> {
    switch (step.do) {
      case "ask":
        return this.#ask(step.asks, step.failsAt)
      case "crash":
        return this.#disk === undefined
          ? this.#ask(step.asks, undefined)
          : this.#askAndCrash(step.asks, step.at, step.seed)
      case "sleep":
        return this.#disk === undefined ? Effect.void : Effect.andThen(this.#sleep, this.#wake)
      case "follow":
        return this.#follow(step.slot, step.from)
    }
  }

  #ask(asks: ReadonlyArray<Ask>, failsAt: number | undefined): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const sent = asks.map((ask) => this.#sentOf(ask))
      const fails = failsAt !== undefined && asks.every(({ kind }) => kind === "append")
      const at = this.#calls + (failsAt ?? 0)
      if (fails) {
        this.#meet = (call, path) =>
          call !== "close" && this.#calls === at ? Effect.fail(failing(call, path, "EIO")) : Effect.void
      }
      yield* this.#send(sent)
      this.#meet = () => Effect.void
      yield* TestClock.adjust(2_000)
      const refused = new Set<number>()
      for (const each of sent) {
        if (this.#isFailure(each)) refused.add(each.ask.slot)
        else this.#hold(each, each.exit!)
      }
      assert.ok(fails || refused.size === 0, "the storage fails though the disk does not")
      // A refused append is not there, neither after the next append nor after any crash.
      for (const slot of refused) {
        const again = this.#sentOf(plain(slot))
        yield* this.#send([again])
        this.#hold(again, again.exit!)
      }
    })
  }

  #askAndCrash(asks: ReadonlyArray<Ask>, at: number, seed: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const random = new Random(seed)
      const sent = asks.map((ask) => this.#sentOf(ask))
      const answered = new Map<Sent, Sent["exit"]>()
      const slotsAll = Array.from({ length: slots }, (_, slot) => slot)
      let shown: ReadonlyArray<ReadonlyArray<string>> = []
      let crashed: FaultDisk | undefined
      const crash = () => {
        shown = slotsAll.map((slot) => this.#hooks.shownOf(slot))
        crashed = this.#disk!.crash("each its own", (below) => random.between(0, below - 1))
        for (const each of sent) if (each.exit !== undefined) answered.set(each, each.exit)
      }
      const from = this.#calls
      this.#meet = () => Effect.sync(() => this.#calls === from + at ? crash() : undefined)
      yield* this.#send(sent)
      this.#meet = () => Effect.void
      if (crashed === undefined) crash()
      yield* this.#crash(crashed)
      for (const slot of slotsAll) {
        // A veto is answered before its turn comes.
        for (const each of sent) if (isVetoed(each) && each.ask.slot === slot) this.#hold(each, answered.get(each))
        const mine = sent.filter((each) => each.ask.slot === slot && !isVetoed(each))
        const last = mine.findLastIndex((each) => answered.has(each))
        for (const each of mine.slice(0, last + 1)) this.#hold(each, answered.get(each))
        const found = yield* this.#found(slot)
        this.#hooks.hold(slot, shown[slot]!, found?.units ?? [], mine.some(({ ask }) => ask.kind === "delete"))
        // Of the unanswered requests, any first part may have happened, in order.
        const left = mine.slice(last + 1)
        while (left.length > 0 && !this.#matches(slot, found)) this.#hold(left.shift()!, undefined)
        this.#isExpected(slot, found)
      }
    })
  }

  #sentOf(ask: Ask): Sent {
    const sizes = ask.kind === "append" ? ask.sizes : []
    const vetoOf = (i: number) => ask.kind === "append" && ask.vetoed && i === sizes.length - 1 ? veto : {}
    return {
      ask,
      data: sizes.map((size, i) => JSON.stringify({ key: this.#keys++, x: "x".repeat(size), ...vetoOf(i) })),
      exit: undefined
    }
  }

  /** Sends all requests at once, in the order of the list. */
  #send(sent: ReadonlyArray<Sent>): Effect.Effect<void> {
    const requests = sent.map((each) =>
      each.ask.kind === "append" ? this.#expected.requestOf(each.ask, each.data) : undefined
    )
    return Effect.forEach(
      sent,
      (each, i) => {
        const stream = this.#streams[each.ask.slot]!
        const request = requests[i]
        const asked: Effect.Effect<Appended | undefined, { readonly _tag: string }> = request === undefined
          ? Effect.as(stream.delete, undefined)
          : stream.append(request)
        return Effect.map(Effect.exit(asked), (exit) => {
          each.exit = exit
        })
      },
      { concurrency: "unbounded", discard: true }
    )
  }

  #isFailure({ exit }: Sent): boolean {
    const tag = tagOf(exit)
    return tag === "StorageFailed" || tag === "StorageFull" || tag === "StorageUnavailable"
  }

  /** Applies the request to the model. If it was answered, the answer must be the model's. */
  #hold(sent: Sent, exit: Sent["exit"]): void {
    if (sent.ask.kind === "delete") this.#hooks.delete(this.#expected.unitsOf(sent.ask.slot))
    const told = this.#expected.apply(sent.ask, sent.data)
    if (exit === undefined) return
    const { _tag } = exit
    const answer = _tag === "Failure" ? tagOf(exit) : exit.value?.producer?.repeated === true ? "repeated" : "ok"
    assert.equal(
      answer,
      told,
      `${JSON.stringify(sent.ask).slice(0, 200)} is answered with ${String(exit).slice(0, 300)}`
    )
    if (_tag === "Success" && exit.value !== undefined && told === "ok") {
      const units = this.#expected.unitsOf(sent.ask.slot)
      assert.deepEqual(textsOf(exit.value).map(dataOf), sent.data)
      assert.ok(exit.value.tail <= units.length)
      assert.deepEqual(units.slice(exit.value.events.first, exit.value.tail), sent.data)
    }
  }

  /** Returns the contents of the stream in the storage. */
  #found(slot: number) {
    return Effect.gen({ self: this }, function*() {
      const storage = yield* Storage
      const log = yield* Effect.option(storage.open(named(nameOf(slot))))
      if (Option.isNone(log)) return undefined
      const texts = yield* readUpTo(log.value, log.value.tail)
      texts.forEach((text, i) => assert.equal(Number(JSON.parse(text).offset), i))
      const state = [...log.value.state].toSorted()
      return {
        units: texts.map(dataOf),
        state: Object.fromEntries(state.map(([key, value]) => [key, JSON.parse(value)]))
      }
    }).pipe(Effect.scoped, Effect.provide(this.#layer), Effect.orDie)
  }

  #matches(slot: number, found: unknown): boolean {
    try {
      this.#isExpected(slot, found)
      return true
    } catch {
      return false
    }
  }

  #isExpected(slot: number, found: unknown): void {
    if (this.#disk !== undefined) {
      assert.deepStrictEqual(found, this.#expected.contentsOf(slot), `what is found in ${slot}`)
    }
  }

  #follow(slot: number, from: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const start = Math.min(from, this.#expected.unitsOf(slot).length)
      const seen: Array<string> = []
      const stream = this.#streams[slot]!
      const following = Effect.gen(function*() {
        let cursor = yield* stream.cursor(start)
        while (true) {
          const block = yield* stream.next(cursor, 1_000)
          if (block.count === 0) return
          seen.push(...textsOf(block).map(dataOf))
          cursor = { ...cursor, next: block.first + block.count }
        }
      })
      const fiber = yield* Effect.forkIn(following, this.#scope!)
      this.#followers = [...this.#followers, { slot, from: start, seen, fiber }]
    })
  }

  /**
   * Checks that the followers have received everything. If the stream was deleted meanwhile, they must only have been
   * told, at its end or before.
   */
  #followersHaveAll(deleted: ReadonlySet<number>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      for (const follower of this.#followers) {
        const wanted = () => this.#expected.unitsOf(follower.slot).slice(follower.from)
        const isOver = () => follower.fiber.pollUnsafe() !== undefined
        for (let turn = 0; turn < turnsMax && !isOver() && follower.seen.length < wanted().length; turn++) {
          yield* Effect.yieldNow
        }
        const ended = follower.fiber.pollUnsafe()
        if (ended !== undefined && Exit.isFailure(ended)) assert.match(String(ended.cause), /StreamDeleted/)
        if (!deleted.has(follower.slot)) {
          assert.deepEqual(follower.seen, wanted(), `what a follower of ${follower.slot} has seen`)
        }
      }
      this.#followers = this.#followers.filter(({ fiber }) => fiber.pollUnsafe() === undefined)
    })
  }

  get #layer(): Layer.Layer<Storage> {
    return this.#disk === undefined
      ? layerMemory
      : Layer.orDie(layerFileSystem({ directory, durability: "fsync", disk: this.#disk, journalBytesMax: 20_000 }))
  }

  get #wake(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const scope = yield* Scope.make()
      this.#scope = scope
      const { turns } = this.#history
      if (this.#disk !== undefined) {
        this.#disk.before = (call, path) =>
          Effect.suspend(() => {
            const turn = turns[this.#calls++ % turns.length]!
            return Effect.andThen(
              Effect.suspend(() => this.#meet(call, path)),
              Effect.repeat(Effect.yieldNow, { times: turn })
            )
          })
      }
      const storage = yield* Scope.provide(Layer.build(this.#layer), scope)
      const names = Array.from({ length: slots }, (_, slot) => named(nameOf(slot)))
      this.#hooks.restart()
      const streams = yield* Effect.forEach(names, (name) => Scope.provide(makeDurableStream(name), scope)).pipe(
        Effect.provide(storage),
        Effect.orDie
      )
      this.#streams = streams.map((stream, slot) => withHooks(stream, this.#hooks.hooks(slot)))
    })
  }

  get #sleep(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#followers = []
      return Scope.close(this.#scope!, Exit.void)
    })
  }

  /** Ends the process; the next one finds this disk. */
  #crash(disk: FaultDisk | undefined): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      if (disk === undefined) return
      yield* this.#sleep
      this.#disk = disk
      yield* this.#wake
    })
  }
}

const isVetoed = ({ ask }: Sent): boolean => ask.kind === "append" && ask.vetoed

const nameOf = (slot: number): string => `stream/${slot}`

const plain = (slot: number): Append => ({
  kind: "append",
  slot,
  sizes: [10],
  close: false,
  vetoed: false,
  producer: undefined,
  ifMatch: undefined
})

const dataOf = (text: string): string => JSON.stringify((JSON.parse(text) as { readonly data: unknown }).data)

const tagOf = (exit: Sent["exit"]): string | undefined => {
  if (exit === undefined || Exit.isSuccess(exit)) return undefined
  const reason = exit.cause.reasons[0]
  return reason?._tag === "Fail" ? reason.error._tag : `a defect: ${String(exit.cause)}`
}
