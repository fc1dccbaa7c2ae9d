/**
 * The promises of Storage about forks, deleted sources and streams that can expire, for every backend.
 */
import { assert, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { StreamNotFound } from "../../src/domain/errors.ts"
import type { Commit, Log, StreamDescription } from "../../src/storage/storage.ts"
import { Storage } from "../../src/storage/storage.ts"
import { freshName } from "../support/names.ts"
import { commitOf, described, named, readUpTo, shown, textsOf } from "../support/storage-fixtures.ts"

const write = Effect.fnUntraced(function*(description: StreamDescription, ...commits: ReadonlyArray<Commit>) {
  const storage = yield* Storage
  const log = yield* storage.create(description, commits[0]!)
  for (const commit of commits.slice(1)) yield* log.commit(commit)
  return log
})

/** A log of this many events, each a commit. */
const source = (name: string, count: number) =>
  write(described(name), ...Array.from({ length: count }, (_, i) => commitOf(name, i, [`${i}`])))

const forkOf = (name: string, from: string, offset: number): StreamDescription => ({
  ...described(name),
  id: `id of ${name}`,
  forkedFrom: { stream: named(from), id: described(from).id, offset, bytes: 0 }
})

const open = (name: string) => Effect.flatMap(Storage, (storage) => storage.open(named(name)))

const all = (log: Log) => readUpTo(log, log.tail, 0, 1)

const texts = (name: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => shown(name, from + i, `${from + i}`))

export const forkSuite = <E>(backend: string, layer: Layer.Layer<Storage, E>) =>
  it.layer(layer)(`Storage of forks (${backend})`, (it) => {
    it.effect("a fork has its source's events up to its beginning, and its own from there", () =>
      Effect.gen(function*() {
        const [from, name] = [freshName("fork/"), freshName("fork/")]
        const original = yield* source(from, 5)
        const log = yield* write(forkOf(name, from, 3), commitOf(name, 3, []), commitOf(name, 3, ["3", "4"]))
        yield* original.commit(commitOf(from, 5, ["5"]))
        assert.deepStrictEqual(yield* all(yield* open(name)), [...texts(from, 0, 3), ...texts(name, 3, 5)])
        yield* log.commit(commitOf(name, 5, ["5"]))
        const opened = yield* open(name)
        assert.strictEqual(opened.tail, 6)
        assert.deepStrictEqual(opened.description, forkOf(name, from, 3))
        for (let at = 0; at < 6; at++) {
          const block = yield* opened.read(at, 100_000)
          assert.strictEqual(block.first, at)
          const names = new Set(
            textsOf(block).map((text) => (JSON.parse(text) as { eventStreamId: string }).eventStreamId)
          )
          assert.deepStrictEqual([...names], [at < 3 ? from : name], "the events of a block have one name")
        }
      }))

    it.effect("a fork that has no events of its own has its source's tail, or its beginning", () =>
      Effect.gen(function*() {
        const [from, whole, none] = [freshName("fork/"), freshName("fork/"), freshName("fork/")]
        yield* source(from, 4)
        yield* write(forkOf(whole, from, 4), commitOf(whole, 4, []))
        yield* write(forkOf(none, from, 0), commitOf(none, 0, []))
        assert.deepStrictEqual(yield* all(yield* open(whole)), texts(from, 0, 4))
        assert.strictEqual((yield* open(none)).tail, 0)
        const log = yield* open(whole)
        yield* log.commit(commitOf(whole, 4, [], `{"closed":true}`))
        assert.strictEqual((yield* open(whole)).tail, 4)
      }))

    it.effect("forks of forks are read through all of them", () =>
      Effect.gen(function*() {
        const names = [freshName("fork/"), freshName("fork/"), freshName("fork/"), freshName("fork/")] as const
        yield* source(names[0], 10)
        const expected = texts(names[0], 0, 10)
        for (let depth = 1; depth < names.length; depth++) {
          const [from, name] = [names[depth - 1]!, names[depth]!]
          const base = 10 - depth * 2
          const description = {
            ...forkOf(name, from, base),
            forkedFrom: { stream: named(from), id: depth === 1 ? "one" : `id of ${from}`, offset: base, bytes: 0 }
          }
          yield* write(description, commitOf(name, base, [`${base}`, `${base + 1}`, `${base + 2}`]))
          expected.splice(base, 10, ...texts(name, base, base + 3))
          assert.deepStrictEqual(yield* all(yield* open(name)), expected)
        }
      }))

    it.effect("a hidden log is neither listed nor lost: it opens as hidden, and its forks read it", () =>
      Effect.gen(function*() {
        const storage = yield* Storage
        const [from, name] = [freshName("fork/"), freshName("fork/")]
        yield* Effect.scoped(source(from, 3))
        const fork = yield* write(forkOf(name, from, 2), commitOf(name, 2, ["2"]))
        assert.isFalse((yield* Effect.scoped(open(from))).hidden)
        yield* storage.hide(named(from))
        const listed = yield* storage.list()
        assert.deepStrictEqual([listed.includes(named(from)), listed.includes(named(name))], [false, true])
        const hidden = yield* open(from)
        assert.isTrue(hidden.hidden)
        assert.strictEqual(hidden.tail, 3)
        yield* hidden.commit(commitOf(from, 3, [], `{"fork:x":null,"more":1}`))
        assert.deepStrictEqual(yield* storage.describe(named(from)), described(from))
        assert.deepStrictEqual(yield* all(yield* open(name)), [...texts(from, 0, 2), ...texts(name, 2, 3)])
        assert.deepStrictEqual(yield* all(fork), [...texts(from, 0, 2), ...texts(name, 2, 3)])
      }))

    it.effect("a read of a fork goes on when its source is hidden meanwhile", () =>
      Effect.gen(function*() {
        const storage = yield* Storage
        const [from, name] = [freshName("fork/"), freshName("fork/")]
        yield* Effect.scoped(source(from, 3))
        const fork = yield* write(forkOf(name, from, 3), commitOf(name, 3, []))
        assert.strictEqual((yield* fork.read(0, 1)).first, 0)
        yield* storage.hide(named(from))
        // So many others that files are closed for them.
        for (let i = 0; i < 20; i++) yield* source(freshName("fork/"), 1)
        assert.deepStrictEqual(yield* all(fork), texts(from, 0, 3))
      }))

    it.effect("a hidden log can be deleted, and its name used again", () =>
      Effect.gen(function*() {
        const storage = yield* Storage
        const name = freshName("fork/")
        yield* Effect.scoped(source(name, 1))
        yield* storage.hide(named(name))
        yield* storage.delete(named(name))
        assert.instanceOf(yield* Effect.flip(Effect.scoped(open(name))), StreamNotFound)
        assert.instanceOf(yield* Effect.flip(storage.describe(named(name))), StreamNotFound)
        assert.instanceOf(yield* Effect.flip(storage.delete(named(name))), StreamNotFound)
        yield* source(name, 2)
        assert.isFalse((yield* open(name)).hidden)
      }))

    it.effect("another stream of the source's name is not taken for it", () =>
      Effect.gen(function*() {
        const storage = yield* Storage
        const [from, name] = [freshName("fork/"), freshName("fork/")]
        yield* Effect.scoped(source(from, 3))
        yield* Effect.scoped(write(forkOf(name, from, 3), commitOf(name, 3, ["3"])))
        yield* storage.delete(named(from))
        yield* write({ ...described(from), id: "two" }, commitOf(from, 0, ["7", "8", "9"]))
        const log = yield* open(name)
        if (storage.kind === "memory") {
          // There, a fork keeps the events that it reads as long as it exists.
          assert.deepStrictEqual((yield* all(log)).slice(0, 3), texts(from, 0, 3))
        } else {
          const refused = yield* Effect.flip(log.read(1, 1))
          assert.deepStrictEqual([refused._tag, "offset" in refused && refused.offset], [
            "LogDamaged",
            "0000000000000001"
          ])
        }
        assert.deepStrictEqual(textsOf(yield* log.read(3, 1)), texts(name, 3, 4))
      }))

    it.effect("a log keeps the expiry of its stream and the time of its last use", () =>
      Effect.gen(function*() {
        const [sliding, fixed] = [freshName("fork/"), freshName("fork/")]
        yield* Effect.scoped(write({ ...described(sliding), ttlSeconds: 60 }, commitOf(sliding, 0, [])))
        const expiresAt = "2030-01-01T00:00:00+01:00"
        yield* Effect.scoped(write({ ...described(fixed), expiresAt }, commitOf(fixed, 0, [])))
        yield* Effect.scoped(Effect.flatMap(open(sliding), (log) => log.touch(1_700_000_000_000)))
        const log = yield* open(sliding)
        assert.strictEqual(log.touchedAt, 1_700_000_000_000)
        assert.strictEqual(log.description.ttlSeconds, 60)
        assert.strictEqual((yield* open(fixed)).description.expiresAt, expiresAt)
      }))
  })
