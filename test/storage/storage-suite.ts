/**
 * The promises of Storage, for every backend: `suite(backend, layer)`.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, type Layer, Logger, Scope } from "effect"
import { StreamNotFound } from "../../src/domain/errors.ts"
import type { StreamName } from "../../src/domain/types.ts"
import type { Commit, Log } from "../../src/storage/storage.ts"
import { Storage } from "../../src/storage/storage.ts"
import { freshName } from "../support/names.ts"
import { commitOf, described, named, readUpTo, shown, stateOf, textsOf } from "../support/storage-fixtures.ts"

/** Makes the log, lets it sleep, and returns nothing. */
const write = (name: string, commits: ReadonlyArray<Commit>) =>
  Effect.scoped(Effect.gen(function*() {
    const storage = yield* Storage
    const log = yield* storage.create(described(name), commits[0]!)
    for (const commit of commits.slice(1)) yield* log.commit(commit)
  }))

const open = (name: string) => Effect.flatMap(Storage, (storage) => storage.open(named(name)))

const names: ReadonlyArray<readonly [kind: string, name: string]> = [
  ["an ordinary one", "orders"],
  ["upper case", "ORDERS"],
  ["a path", "orders/2024/01"],
  ["a path that leaves", "../../etc/passwd"],
  ["an absolute path", "/etc/passwd"],
  ["a dot", "."],
  ["two dots", ".."],
  ["a dot in front", ".hidden"],
  ["a slash alone", "/"],
  ["a backslash", "a\\b"],
  ["a quote", `"a"`],
  ["a percent sign", "100%"],
  ["a text that looks encoded", "a%2Fb"],
  ["a space", " a b "],
  ["letters of other scripts", "заказы-注文-🎈"],
  ["a combining accent", "e\u0301"],
  ["the same accent, composed", "\u00e9"],
  ["a name of JavaScript", "__proto__"],
  ["another name of JavaScript", "constructor"],
  ["a device of Windows", "con"],
  ["a suffix of ours", "orders.json"],
  ["a suffix of a new log", "orders.json.new"],
  ["a tilde", "~"],
  ["255 bytes", "b".repeat(255)],
  ["512 bytes", "c".repeat(512)],
  ["512 bytes of upper case", "D".repeat(512)],
  ["512 bytes of upper case, but for the last", "D".repeat(511) + "E"],
  ["512 bytes of quotes", `"`.repeat(512)],
  ["512 bytes of four-byte characters", "🎈".repeat(128)]
]

export const suite = <E>(backend: string, layer: Layer.Layer<Storage, E>) =>
  it.layer(layer)(`Storage (${backend})`, (it) => {
    it.effect("a log is made with its first commit, which can be read at once", () =>
      Effect.gen(function*() {
        const storage = yield* Storage
        const name = freshName("stream/")
        const first = commitOf(name, 0, [`{"a":1}`, `2`])
        const log = yield* storage.create(described(name), first)
        assert.deepStrictEqual(log.description, described(name))
        assert.strictEqual(log.tail, 2)
        assert.strictEqual(log.state.size, 0)
        assert.deepStrictEqual(yield* readUpTo(log, 2), textsOf(first.events))
      }))

    it.effect("a log that is opened again has its tail, its state and its description", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        yield* write(name, [
          commitOf(name, 0, ["0"], `{"producer":1}`),
          commitOf(name, 1, ["1", "2"], `{"producer":2,"text":"ü \\"}}"}`)
        ])
        const log = yield* open(name)
        assert.strictEqual(log.tail, 3)
        assert.strictEqual(stateOf(log), `{"producer":2,"text":"ü \\"}}"}`)
        assert.deepStrictEqual(log.description, described(name))
      }))

    it.effect("a commit changes the entries of the state that it names, and leaves the others", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        yield* write(name, [
          commitOf(name, 0, ["0"], `{"a":1,"b":[2],"__proto__":0}`),
          commitOf(name, 1, ["1"]),
          commitOf(name, 2, [], `{"a":{"c":"\\n"},"d":"\\"}}"}`),
          commitOf(name, 2, ["2"], `{"b":null}`)
        ])
        const state = `{"a":{"c":"\\n"},"__proto__":0,"d":"\\"}}"}`
        const log = yield* open(name)
        assert.deepStrictEqual([...log.state].toSorted(), [
          ["__proto__", "0"],
          ["a", `{"c":"\\n"}`],
          ["d", `"\\"}}"`]
        ])
        yield* log.commit(commitOf(name, 3, ["3"], `{"a":null,"__proto__":null,"d":null}`))
        assert.strictEqual(log.state.size, 0, state)
        assert.strictEqual((yield* open(name)).state.size, 0)
      }))

    it.effect("a state survives any number of commits that do not change it", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        const padded = Array.from({ length: 40 }, () => `"${"x".repeat(20_000)}"`)
        const commits = padded.map((data, i) => commitOf(name, i, [data], i === 3 ? `{"kept":3}` : "{}"))
        yield* write(name, commits)
        const log = yield* open(name)
        assert.strictEqual(stateOf(log), `{"kept":3}`)
        yield* log.commit(commitOf(name, 40, ["40"], `{"more":4}`))
        assert.strictEqual(stateOf(yield* open(name)), `{"kept":3,"more":4}`)
      }))

    it.effect("a commit may change the state alone", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        const { events } = commitOf(name, 0, ["0", "1"])
        yield* write(name, [{ events, state: [] }, commitOf(name, 2, [], `{"closed":true}`)])
        const log = yield* open(name)
        assert.strictEqual(log.tail, 2)
        assert.strictEqual(stateOf(log), `{"closed":true}`)
        assert.deepStrictEqual(yield* readUpTo(log, 2), textsOf(events))
        yield* log.commit(commitOf(name, 2, ["2"]))
        assert.strictEqual((yield* open(name)).tail, 3)
      }))

    it.effect("a log may be made without an event", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        yield* write(name, [commitOf(name, 0, [])])
        const log = yield* open(name)
        assert.strictEqual(log.tail, 0)
        yield* log.commit(commitOf(name, 0, ["0"]))
        assert.deepStrictEqual(yield* readUpTo(log, 1), [shown(name, 0, "0")])
      }))

    it.effect("a log may be made closed, without an event", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        yield* write(name, [commitOf(name, 0, [], `{"closed":true}`)])
        const log = yield* open(name)
        assert.strictEqual(log.tail, 0)
        assert.strictEqual(stateOf(log), `{"closed":true}`)
      }))

    it.effect("a read begins with the event at the offset that its reader asks for, wherever a commit begins", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        const sizes = [1, 4, 2, 7, 1]
        const commits: Array<Commit> = []
        let tail = 0
        for (const size of sizes) {
          commits.push(commitOf(name, tail, Array.from({ length: size }, (_, i) => `{"n":${tail + i}}`)))
          tail += size
        }
        yield* write(name, commits)
        const all = commits.flatMap(({ events }) => textsOf(events))
        const log = yield* open(name)
        for (let from = 0; from < tail; from++) {
          const block = yield* log.read(from, 100_000)
          assert.strictEqual(block.first, from)
          assert.deepStrictEqual(textsOf(block), all.slice(from, from + block.count))
          assert.deepStrictEqual(yield* readUpTo(log, tail, from, 1), all.slice(from))
        }
      }))

    it.effect("a read finds its event in a long commit, even if a line ends with a piece of the file", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        // 21 lines are a byte less than 4 KiB.
        const pad = 195 - `${shown(name, 0, `""`)}\n`.length
        const data = Array.from({ length: 300 }, () => `"${"x".repeat(pad)}"`)
        yield* write(name, [commitOf(name, 0, data)])
        const log = yield* open(name)
        for (let from = 0; from < 300; from++) {
          assert.strictEqual(textsOf(yield* log.read(from, 1))[0], shown(name, from, data[from]!))
        }
      }))

    it.effect("a read gives at least one event, and whole ones, however few bytes its reader asks for", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        const data = [`"${"x".repeat(300_000)}"`, `1`, `"${"ü".repeat(100_000)}"`]
        yield* write(name, data.map((text, i) => commitOf(name, i, [text])))
        const log = yield* open(name)
        for (const bytesMax of [1, 100, 70_000]) {
          for (let from = 0; from < 3; from++) {
            const block = yield* log.read(from, bytesMax)
            assert.isAtLeast(block.count, 1)
            const expected = data.slice(from, from + block.count).map((text, i) => shown(name, from + i, text))
            assert.deepStrictEqual(textsOf(block), expected)
          }
        }
      }))

    it.effect("a read goes on after commits without an event, into one that is longer than its reader asks for", () =>
      Effect.gen(function*() {
        // Some of these end just before the end of a small read.
        for (let length = 16_000; length < 16_384; length += 64) {
          const name = freshName("stream/")
          const data = [`"${"x".repeat(length)}"`, ...Array.from({ length: 3 }, () => `"${"y".repeat(10_000)}"`)]
          yield* write(name, [
            commitOf(name, 0, data.slice(0, 1)),
            commitOf(name, 1, [], `{"producer":1}`),
            commitOf(name, 1, data.slice(1))
          ])
          const log = yield* open(name)
          const lines: Array<unknown> = []
          const texts = yield* Effect.provide(
            readUpTo(log, log.tail, 0, 1),
            Logger.layer([Logger.make(({ message }) => lines.push(message))])
          )
          assert.deepStrictEqual(texts, data.map((text, i) => shown(name, i, text)))
          assert.deepStrictEqual(lines, [], "it is taken for damaged")
        }
      }))

    it.effect("a read gives about as many bytes as its reader asks for, not the whole log", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        const text = `"${"x".repeat(1000)}"`
        yield* write(name, Array.from({ length: 1000 }, (_, i) => commitOf(name, i, [text])))
        const log = yield* open(name)
        let reads = 0
        for (let from = 0; from < 1000; reads++) {
          const block = yield* log.read(from, 64 * 1024)
          assert.isAtMost(block.count, 130)
          from += block.count
        }
        assert.isAtMost(reads, 40)
      }))

    it.effect("Promise 8: data is kept as it was sent", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        const data = [
          `12345678901234567890.00`,
          `{ "b":1,\t"a" : 2 , "b": 3 }`,
          `"\\u0000\\ud800 \u2028 \\/"`,
          `{"__proto__":null,"":[[[]]]}`,
          `-0`,
          `1e400`,
          `{"commit":{"crc":"00000000"}}`,
          `"}}"`,
          `"\\"createdAt\\":\\"2024-01-08T00:00:00.000Z\\"}"`
        ]
        yield* write(name, [commitOf(name, 0, data), ...data.map((text, i) => commitOf(name, data.length + i, [text]))])
        const log = yield* open(name)
        const expected = [...data, ...data].map((text, i) => shown(name, i, text))
        assert.deepStrictEqual(yield* readUpTo(log, log.tail), expected)
      }))

    it.effect("a block that was returned never changes", () =>
      Effect.gen(function*() {
        const storage = yield* Storage
        const name = freshName("stream/")
        const log = yield* storage.create(described(name), commitOf(name, 0, ["0"]))
        const block = yield* log.read(0, 1024)
        const before = textsOf(block)
        for (let i = 1; i < 50; i++) yield* log.commit(commitOf(name, i, [`"${"y".repeat(i * 10)}"`]))
        yield* log.read(0, 100_000)
        assert.strictEqual(block.count, 1)
        assert.deepStrictEqual(textsOf(block), before)
      }))

    it.effect("ten thousand events are read back, from the beginning and from the middle", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        const commits = Array.from(
          { length: 100 },
          (_, i) => commitOf(name, i * 100, Array.from({ length: 100 }, (_, j) => `{"n":${i * 100 + j}}`))
        )
        yield* write(name, commits)
        const all = commits.flatMap(({ events }) => textsOf(events))
        const log = yield* open(name)
        assert.deepStrictEqual(yield* readUpTo(log, 10_000, 0, 16_384), all)
        for (const from of [1, 99, 100, 101, 4_999, 5_000, 9_999]) {
          assert.strictEqual(textsOf(yield* log.read(from, 1))[0], all[from])
        }
      }))

    it.effect("many readers may read at once, each its own part", () =>
      Effect.gen(function*() {
        const name = freshName("stream/")
        const commits = Array.from(
          { length: 400 },
          (_, i) => commitOf(name, i, [`{"n":${i},"x":"${"x".repeat(300)}"}`])
        )
        yield* write(name, commits)
        const all = commits.flatMap(({ events }) => textsOf(events))
        const log = yield* open(name)
        const readers = Array.from({ length: 100 }, (_, i) => i * 4)
        const read = yield* Effect.forEach(readers, (from) => readUpTo(log, 400, from, 1), { concurrency: "unbounded" })
        assert.deepStrictEqual(read, readers.map((from) => all.slice(from)))
      }))

    it.effect("a log that does not exist cannot be opened or deleted, and neither attempt makes it", () =>
      Effect.gen(function*() {
        const storage = yield* Storage
        const name = freshName("stream/")
        assert.instanceOf(yield* Effect.flip(open(name)), StreamNotFound)
        assert.instanceOf(yield* Effect.flip(storage.delete(named(name))), StreamNotFound)
        assert.notInclude(yield* storage.list(), named(name))
      }))

    it.effect("a deleted log is gone, and another can be made under its name", () =>
      Effect.gen(function*() {
        const storage = yield* Storage
        const name = freshName("stream/")
        yield* write(name, [commitOf(name, 0, ["0", "1"], `{"closed":true}`)])
        yield* storage.delete(named(name))
        assert.notInclude(yield* storage.list(), named(name))
        assert.instanceOf(yield* Effect.flip(open(name)), StreamNotFound)
        yield* write(name, [commitOf(name, 0, [`"new"`])])
        const log: Log = yield* open(name)
        assert.strictEqual(log.state.size, 0)
        assert.deepStrictEqual(yield* readUpTo(log, log.tail), [shown(name, 0, `"new"`)])
      }))

    it.effect("a log outlives the scope it was made in", () =>
      Effect.gen(function*() {
        const storage = yield* Storage
        const name = freshName("stream/")
        const scope = yield* Scope.make()
        const log = yield* Scope.provide(storage.create(described(name), commitOf(name, 0, ["0"])), scope)
        yield* log.commit(commitOf(name, 1, ["1"]))
        yield* Scope.close(scope, Exit.void)
        const reopened = yield* open(name)
        assert.deepStrictEqual(yield* readUpTo(reopened, 2), [shown(name, 0, "0"), shown(name, 1, "1")])
      }))

    it.effect("names of every kind are names of different streams, and are listed unchanged, in order", () =>
      Effect.gen(function*() {
        const storage = yield* Storage
        for (const [, name] of names) yield* write(name, [commitOf(name, 0, [JSON.stringify(name)])])
        const ours = new Set<StreamName>(names.map(([, name]) => named(name)))
        const listed = (yield* storage.list()).filter((name) => ours.has(name))
        assert.deepStrictEqual(listed, [...ours].toSorted())
        assert.deepStrictEqual(yield* storage.list(), (yield* storage.list()).toSorted())
        for (const [kind, name] of names) {
          const log = yield* open(name)
          assert.deepStrictEqual(yield* readUpTo(log, 1), [shown(name, 0, JSON.stringify(name))], kind)
          assert.strictEqual(log.description.name, name)
        }
        for (const [, name] of names) yield* storage.delete(named(name))
        assert.deepStrictEqual((yield* storage.list()).filter((name) => ours.has(name)), [])
      }))
  })
