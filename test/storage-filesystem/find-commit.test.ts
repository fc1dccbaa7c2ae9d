/**
 * The search finds every offset, wherever the windows that it reads begin and end.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import type { StreamName } from "../../src/domain/types.ts"
import { toOffset } from "../../src/domain/types.ts"
import type { DiskFile } from "../../src/storage-filesystem/disk/disk.ts"
import { encodeNewLog } from "../../src/storage-filesystem/format/record-codec.ts"
import { findCommit } from "../../src/storage-filesystem/log/find-commit.ts"
import { blockOfLines } from "../support/storage-fixtures.ts"

const createdAt = "2024-01-08T00:00:00.000Z"

/** A log that is one commit of this many events. */
const oneCommit = (count: number): Uint8Array => {
  const lines = Array.from(
    { length: count },
    (_, i) => `{"offset":"${toOffset(i)}","eventStreamId":"x","data":{"n":${i}},"createdAt":"${createdAt}"}`
  )
  const description = { name: "x" as StreamName, contentType: "application/json", createdAt, id: "one" }
  return encodeNewLog(description, { events: blockOfLines(0, lines), state: [] }).bytes
}

const inMemory = (bytes: Uint8Array): Pick<DiskFile, "read"> => ({
  read: (into, length, position) =>
    Effect.sync(() => {
      const part = bytes.subarray(position, position + length)
      into.set(part)
      return part.length
    })
})

it.effect("a search finds an offset though its window begins with the line feed that ends the line before", () =>
  Effect.gen(function*() {
    const bytes = oneCommit(2_000)
    const file = inMemory(bytes) as DiskFile
    // A window begins some bytes before the event's line, so with this many events some windows begin anywhere in a
    // line.
    for (let offset = 0; offset < 2_000; offset++) {
      const place = yield* findCommit(file, offset, 0, { offset: 2_000, position: bytes.length }, new Map())
      assert.deepStrictEqual([offset, place?.offset], [offset, 0])
    }
  }))
