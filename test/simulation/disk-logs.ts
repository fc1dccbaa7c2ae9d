/**
 * Logs that are written side by side on a disk that fails, and their answers: the ledger of the suite `disk`.
 */
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Commit, Log, Storage } from "../../src/storage/storage.ts"
import { applyState } from "../../src/storage/storage.ts"
import type { Random } from "../support/random.ts"
import { commitOf, described, named, textsOf } from "../support/storage-fixtures.ts"
import { rest } from "./in-process.ts"

/** The requests to one log, and their answers. */
export interface Asked {
  readonly name: string
  /** The acknowledged commits, in order. */
  readonly acknowledged: ReadonlyArray<Commit>
  /** Commits tried after those, and refused or not answered: one of them may be there. */
  readonly maybe: ReadonlyArray<Commit>
  readonly there: "maybe" | "yes" | "no"
}

export const contentsOf = (commits: ReadonlyArray<Commit>) => {
  const state = new Map<string, string>()
  for (const commit of commits) applyState(state, commit.state)
  return { texts: commits.flatMap(({ events }) => textsOf(events)), state: Object.fromEntries([...state].toSorted()) }
}

const tailOf = (commits: ReadonlyArray<Commit>): number => commits.reduce((tail, { events }) => tail + events.count, 0)

const weights = { commit: 60, together: 25, make: 6, sleep: 4, wait: 4, delete: 1 } as const

/** How often a refused commit is retried; if it still fails, its obstacle is permanent. */
const triesMax = 3

export class DiskLogs {
  readonly asked = new Map<string, Asked>()
  /** The number of commits that were refused every time. */
  givenUp = 0
  readonly #storage: Storage["Service"]
  readonly #random: Random
  readonly #open = new Map<string, { readonly log: Log; readonly scope: Scope.Closeable }>()
  #made = 0

  constructor(storage: Storage["Service"], random: Random) {
    this.#storage = storage
    this.#random = random
  }

  /** Does `steps` random operations, one after the other. It notes a failed operation, and does not fail itself. */
  readonly run = (steps: number) =>
    Effect.gen({ self: this }, function*() {
      for (let log = this.#random.between(1, 4); log > 0; log--) yield* this.#make
      for (let step = 0; step < steps; step++) yield* this.#step
    }).pipe(Effect.ensuring(this.#closeAll))

  /** The requests so far, as a process that is killed now leaves them behind. */
  get noted(): ReadonlyArray<Asked> {
    return [...this.asked.values()]
  }

  get #step(): Effect.Effect<void> {
    const random = this.#random
    const names = [...this.#open.keys()]
    const kind = names.length === 0 ? "make" : random.weighted(weights)
    switch (kind) {
      case "make":
        return this.#made < 8 ? this.#make : Effect.void
      case "commit":
        return this.#commit(random.pick(names))
      case "together":
        return Effect.forEach(names, (name) => this.#commit(name), { concurrency: "unbounded", discard: true })
      case "sleep":
        return this.#sleep(random.pick(names))
      case "wait":
        return Effect.andThen(TestClock.adjust(random.pick([50, 500, 5_000])), rest)
      case "delete":
        return this.#delete(random.pick(names))
    }
  }

  get #make(): Effect.Effect<void> {
    const name = `log ${this.#made++}`
    const first = this.#commitOf(name, 0)
    this.asked.set(name, { name, acknowledged: [], maybe: [first], there: "maybe" })
    return this.#opening(name, this.#storage.create(described(name), first), () => {
      this.asked.set(name, { name, acknowledged: [first], maybe: [], there: "yes" })
    })
  }

  #opening<E>(name: string, opening: Effect.Effect<Log, E, Scope.Scope>, opened = () => {}): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const scope = yield* Scope.make()
      const log = yield* Effect.exit(Scope.provide(opening, scope))
      if (Exit.isFailure(log)) return yield* Scope.close(scope, log)
      opened()
      this.#open.set(name, { log: log.value, scope })
    })
  }

  #commit(name: string): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      for (let tries = 0; tries < triesMax; tries++) {
        const asked = this.asked.get(name)!
        const commit = this.#commitOf(name, tailOf(asked.acknowledged))
        this.asked.set(name, { ...asked, maybe: [...asked.maybe, commit] })
        const log = this.#open.get(name)?.log
        if (log === undefined) return
        if (Exit.isSuccess(yield* Effect.exit(log.commit(commit)))) {
          this.asked.set(name, { ...asked, acknowledged: [...asked.acknowledged, commit], maybe: [] })
          return
        }
        yield* TestClock.adjust(2_000)
      }
      this.givenUp++
    })
  }

  #sleep(name: string): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      yield* this.#close(name)
      for (let tries = 0; tries < triesMax && !this.#open.has(name); tries++) {
        yield* this.#opening(name, this.#storage.open(named(name)))
      }
    })
  }

  #delete(name: string): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      yield* this.#close(name)
      const asked = this.asked.get(name)!
      this.asked.set(name, { ...asked, there: "maybe" })
      const exit = yield* Effect.exit(this.#storage.delete(named(name)))
      if (Exit.isSuccess(exit)) this.asked.set(name, { ...asked, there: "no" })
    })
  }

  #close(name: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const open = this.#open.get(name)
      this.#open.delete(name)
      return open === undefined ? Effect.void : Scope.close(open.scope, Exit.void)
    })
  }

  get #closeAll(): Effect.Effect<void> {
    return Effect.suspend(() => Effect.forEach([...this.#open.keys()], (name) => this.#close(name), { discard: true }))
  }

  #commitOf(name: string, first: number): Commit {
    const random = this.#random
    const size = random.weighted({ none: 2, few: 70, sectors: 26, large: 1 })
    const data = size === "none" && first > 0 ?
      [] :
      Array.from({ length: random.pick([1, 1, 1, 1, 2, 2, 9]) }, (_, i) => {
        const length = random.between(0, { none: 9, few: 150, sectors: 3_000, large: 70_000 }[size])
        return JSON.stringify({
          key: `${name} ${first} ${i} ${random.next()}`,
          commit: "}}\n".repeat(3),
          x: "x".repeat(length)
        })
      })
    const state = random.weighted({ none: 5, producer: 4, closed: 1, gone: 1 })
    const changes = data.length === 0 || state === "producer"
      ? { [`producer:${random.between(0, 3)}`]: [0, first] }
      : state === "closed"
      ? { closed: true }
      : state === "gone"
      ? { [`producer:${random.between(0, 3)}`]: null }
      : {}
    return commitOf(name, first, data, JSON.stringify(changes))
  }
}
