/**
 * Streams that are made, forked and deleted through the manager, on memory and on files (PROTOCOL.md 4.2 and 5.1).
 */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer } from "effect"
import * as Path from "node:path"
import { dataSlice } from "../../src/event/event-block.ts"
import { bytesOf, EventData } from "../../src/event/event-data.ts"
import { PlainFactory } from "../../src/hooks/stream-factory.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { layerFileSystem } from "../../src/storage-filesystem/storage-filesystem.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import type { Storage } from "../../src/storage/storage.ts"
import type { CreateRequest } from "../../src/stream/durable-stream.ts"
import { freshName } from "../support/names.ts"
import { appending, historyOf, named, settled } from "../support/storage-fixtures.ts"

const text = (bytes: string) => EventData.fromBytes(Buffer.from(bytes))
const plain = (...parts: ReadonlyArray<string>): CreateRequest => ({ contentType: "text/plain", data: parts.map(text) })
const fork = (source: string, offset?: number, subOffset = 0): CreateRequest => ({
  contentType: undefined,
  data: [],
  fork: { source: named(source), offset, subOffset }
})

/** Returns `made`, `there`, or the reason of the refusal. */
const create = Effect.fnUntraced(function*(name: string, request: CreateRequest) {
  const manager = yield* StreamManager
  const exit = yield* Effect.result(manager.create(named(name), request))
  return exit._tag === "Failure" ? exit.failure._tag : exit.success.made ? "made" : "there"
})

const remove = Effect.fnUntraced(function*(name: string) {
  const manager = yield* StreamManager
  const exit = yield* Effect.result(manager.delete(named(name)))
  return exit._tag === "Failure" ? exit.failure._tag : "deleted"
})

/** The text of a stream of bytes, its events separated by bars; or the reason why it cannot be read. */
const read = Effect.fnUntraced(function*(name: string) {
  const manager = yield* StreamManager
  const stream = yield* manager.get(named(name))
  const info = yield* Effect.result(stream.info)
  if (info._tag === "Failure") return info.failure._tag as string
  const parts: Array<string> = []
  let cursor = yield* stream.cursor("beginning")
  while (true) {
    const block = yield* stream.read(cursor)
    if (block.count === 0) return parts.join("|")
    for (let i = 0; i < block.count; i++) parts.push(Buffer.from(bytesOf(dataSlice(block, i))).toString())
    cursor = { life: cursor.life, next: block.first + block.count }
  }
}, Effect.scoped)

/** Waits for work that goes on after an answer. */
const until = (name: string, wanted: string) =>
  Effect.gen(function*() {
    for (let turn = 0; turn < 1000; turn++) {
      if ((yield* read(name)) === wanted) return
      yield* settled
    }
    assert.strictEqual(yield* read(name), wanted)
  })

const suite = <E>(backend: string, layer: Layer.Layer<Storage, E>) =>
  it.layer(Layer.provide(StreamManager.layer, Layer.provideMerge(PlainFactory, layer)), { excludeTestServices: true })(
    `Streams made and forked (${backend})`,
    (it) => {
      it.effect("a stream is made once; a second request finds it, if it asks for the same stream", () =>
        Effect.gen(function*() {
          const name = freshName()
          assert.strictEqual(yield* create(name, plain("a", "b")), "made")
          assert.strictEqual(yield* create(name, plain()), "there")
          assert.strictEqual(yield* create(name, { ...plain(), contentType: "TEXT/plain; charset=utf-8" }), "there")
          for (
            const other of [
              { ...plain(), contentType: "text/html" },
              { ...plain(), contentType: undefined },
              { ...plain(), ttlSeconds: 1 },
              { ...plain(), expiresAt: "2099-01-01T00:00:00Z" },
              { ...plain(), closed: true },
              fork("elsewhere")
            ]
          ) {
            assert.strictEqual(yield* create(name, other), "StreamExists")
          }
          assert.strictEqual(yield* read(name), "a|b")
        }))

      it.effect("a stream can be made closed together with its events", () =>
        Effect.gen(function*() {
          const name = freshName()
          assert.strictEqual(yield* create(name, { ...plain("all"), closed: true }), "made")
          assert.strictEqual(yield* create(name, { ...plain(), closed: true }), "there")
          assert.strictEqual(yield* create(name, plain()), "StreamExists")
          const manager = yield* StreamManager
          const refused = yield* Effect.flip(manager.append(named(name), { data: [text("more")] }))
          assert.strictEqual(refused._tag, "StreamClosed")
        }))

      it.effect("bytes can be forked at every byte: an event is cut, and the rest is the fork's own", () =>
        Effect.gen(function*() {
          const source = freshName()
          yield* create(source, plain("ab", "\"c\"\n", ""))
          const cases: ReadonlyArray<readonly [offset: number | undefined, subOffset: number, expected: string]> = [
            [0, 0, ""],
            [0, 1, "a"],
            [0, 2, "ab"],
            [0, 3, "InvalidRequest"],
            [1, 0, "ab"],
            [1, 1, "ab|\""],
            [1, 4, "ab|\"c\"\n"],
            [1, 5, "InvalidRequest"],
            [undefined, 0, "ab|\"c\"\n|"],
            [undefined, 1, "InvalidRequest"],
            [3, 0, "ab|\"c\"\n|"],
            [4, 0, "InvalidRequest"]
          ]
          for (const [offset, subOffset, expected] of cases) {
            const name = freshName()
            const answer = yield* create(name, fork(source, offset, subOffset))
            assert.strictEqual(answer === "made" ? yield* read(name) : answer, expected, `${offset}.${subOffset}`)
            if (answer !== "made") continue
            assert.strictEqual(yield* create(name, fork(source, offset, subOffset)), "there")
            assert.strictEqual(yield* create(name, fork(source, offset ?? 3, subOffset + 1)), "StreamExists")
          }
          // A refused fork keeps nothing of the source.
          assert.strictEqual(yield* remove(source), "deleted")
        }))

      it.effect("a fork and its source grow apart", () =>
        Effect.gen(function*() {
          const manager = yield* StreamManager
          const [source, name, second] = [freshName(), freshName(), freshName()]
          yield* manager.append(named(source), { ...appending(0, 1, 2), producer: { id: "p", epoch: 3, seq: 0 } })
          assert.strictEqual(yield* create(name, { ...fork(source, 1, 1), data: [EventData.fromValue("own")] }), "made")
          const again = yield* manager.append(named(name), {
            ...appending("new"),
            producer: { id: "p", epoch: 0, seq: 0 }
          })
          assert.deepStrictEqual([again.producer?.repeated, again.events.first], [false, 3])
          yield* manager.append(named(source), { ...appending("theirs"), close: true })
          assert.strictEqual(yield* create(second, fork(name)), "made")
          yield* manager.append(named(second), appending("third"))
          const data = Effect.fnUntraced(function*(name: string) {
            const texts = yield* historyOf(yield* manager.get(named(name)))
            return texts.map((text) => (JSON.parse(text) as { data: unknown }).data)
          }, Effect.scoped)
          assert.deepStrictEqual(yield* data(source), [0, 1, 2, "theirs"])
          assert.deepStrictEqual(yield* data(name), [0, 1, "own", "new"])
          assert.deepStrictEqual(yield* data(second), [0, 1, "own", "new", "third"])
        }))

      it.effect("a deleted source is kept for its forks alone, and goes with the last of them, all the way up", () =>
        Effect.gen(function*() {
          const [a, b, c, d] = [freshName(), freshName(), freshName(), freshName()]
          yield* create(a, plain("1", "2"))
          yield* create(b, { ...fork(a), data: [text("3")] })
          yield* create(c, { ...fork(b), data: [text("4")] })
          yield* create(d, { ...fork(b, 1), data: [text("5")] })
          for (const name of [a, b]) {
            assert.strictEqual(yield* remove(name), "deleted")
            assert.strictEqual(yield* read(name), "StreamGone")
            assert.strictEqual(yield* remove(name), "StreamGone")
            assert.strictEqual(yield* create(name, plain("1", "2")), "StreamExists")
            assert.strictEqual(yield* create(freshName(), fork(name)), "SourceGone")
          }
          const manager = yield* StreamManager
          const refused = yield* Effect.flip(manager.append(named(a), { data: [text("x")] }))
          assert.strictEqual(refused._tag, "StreamGone")
          assert.strictEqual(yield* read(c), "1|2|3|4")
          assert.strictEqual(yield* read(d), "1|5")
          assert.strictEqual(yield* remove(c), "deleted")
          yield* settled
          assert.strictEqual(yield* read(b), "StreamGone")
          assert.strictEqual(yield* remove(d), "deleted")
          yield* until(b, "StreamNotFound")
          yield* until(a, "StreamNotFound")
          const names = yield* manager.list()
          assert.deepStrictEqual(names.filter((name) => [a, b, c, d].includes(name)), [])
          assert.strictEqual(yield* create(a, plain("anew")), "made")
        }))

      it.effect("a stream cannot be forked from itself, nor from a stream that does not exist", () =>
        Effect.gen(function*() {
          const [a, b] = [freshName(), freshName()]
          assert.strictEqual(yield* create(a, fork(a)), "StreamNotFound")
          const both = yield* Effect.all([create(a, fork(b)), create(b, fork(a))], { concurrency: "unbounded" })
          assert.deepStrictEqual(both, ["StreamNotFound", "StreamNotFound"])
          yield* create(a, plain("x"))
          assert.strictEqual(yield* create(a, fork(a)), "StreamExists")
        }))

      it.effect("one of many callers who make one fork at once makes it, and the source counts one fork", () =>
        Effect.gen(function*() {
          const [source, name] = [freshName(), freshName()]
          yield* create(source, plain("x"))
          const answers = yield* Effect.all(Array.from({ length: 10 }, () => create(name, fork(source))), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(answers.toSorted(), ["made", ...Array.from({ length: 9 }, () => "there")].toSorted())
          assert.strictEqual(yield* remove(name), "deleted")
          yield* settled
          assert.strictEqual(yield* remove(source), "deleted")
          yield* until(source, "StreamNotFound")
        }))

      it.effect("a source is not lost to a deletion while a fork of it is made", () =>
        Effect.gen(function*() {
          for (let round = 0; round < 20; round++) {
            const [source, name] = [freshName(), freshName()]
            yield* create(source, plain("x"))
            const [made] = yield* Effect.all([create(name, fork(source)), remove(source)], { concurrency: "unbounded" })
            if (made === "made") assert.strictEqual(yield* read(name), "x")
            else assert.include(["StreamNotFound", "SourceGone"], made)
          }
        }))

      it.effect("a caller who hangs up while a fork is made leaves a fork and its source, or neither", () =>
        Effect.gen(function*() {
          const [source, name] = [freshName(), freshName()]
          yield* create(source, plain("x"))
          const exit = yield* Effect.exit(Effect.timeout(create(name, fork(source)), 0))
          assert.isTrue(Exit.isSuccess(exit) || Exit.isFailure(exit))
          yield* settled
          const found = yield* read(name)
          assert.include(["x", "StreamNotFound"], found)
          yield* remove(source)
          assert.strictEqual(yield* read(source), found === "x" ? "StreamGone" : "StreamNotFound")
        }))
    }
  )

const layerTemporary = Layer.unwrap(Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "durable-streams-" })
  return layerFileSystem({ directory: Path.join(directory, "streams"), durability: "os" })
})).pipe(Layer.provide(NodeFileSystem.layer))

suite("memory", layerMemory)
suite("files", layerTemporary)
