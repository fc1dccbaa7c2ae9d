/**
 * The findings of `verify` in a log whose state was read, and then written, under wrong keys: every checksum fits, and
 * the entries from before are forgotten.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { stateText } from "../../src/storage-filesystem/format/record-codec.ts"
import { encodeCommit, encodeNewLog } from "../../src/storage-filesystem/format/record-codec.ts"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { name, path } from "../support/log-fixtures.ts"
import { commitOf, described } from "../support/storage-fixtures.ts"
import { verifying } from "./verify-fixtures.ts"

/** A commit's state: the whole of it, or its changes. */
type Said = readonly [kind: "whole" | "changes", entries: Readonly<Record<string, string | undefined>>]

/** A log whose commits have one event and one of these states each, and the positions where its commits begin. */
const logOf = (said: ReadonlyArray<Said>) => {
  const first = encodeNewLog(described(name), { ...commitOf(name, 0, []), state: [] })
  const parts = [Buffer.from(first.bytes)]
  const starts: Array<number> = []
  let { crc } = first
  let size = parts[0]!.length
  let wholeAt = 0
  for (const [i, [kind, entries]] of said.entries()) {
    if (kind === "whole") wholeAt = size
    const entry = { text: stateText(Object.entries(entries)), back: size - wholeAt }
    const commit = encodeCommit(commitOf(name, i, [`${i}`]).events, entry, crc)
    parts.push(Buffer.from(commit.bytes))
    starts.push(size)
    size += commit.bytes.length
    crc = commit.crc
  }
  return { files: { [path]: Buffer.concat(parts) }, starts }
}

const link = `{"glob":true,"explicit":false,"acked":3,"life":"one"}`

describe("Promise 10: verify", () => {
  const wrong: ReadonlyArray<readonly [title: string, commit: number, said: ReadonlyArray<Said>, problem: string]> = [
    [
      "a producer that the whole state forgets",
      2,
      [
        ["whole", { "producer:first": "[0,0]", "producer:w\"": "[0,0]" }],
        ["changes", { "producer:first": "[0,1]" }],
        ["whole", { "producer:first": "[0,2]", "producer:w\\": "[0,0]" }],
        ["changes", { "producer:w\"": "[0,0]" }]
      ],
      "lacks \"producer:w\\\"\", which was there before"
    ],
    [
      "an append of a producer that was made twice",
      1,
      [
        ["whole", { "producer:first": "[0,0]", "producer:w\"": "[0,7]" }],
        ["changes", { "producer:w\"": "[0,7]" }]
      ],
      "has [0,7] of \"producer:w\\\"\", which had come to [0,7] before"
    ],
    [
      "a producer's number that the whole state takes back",
      2,
      [
        ["whole", { "producer:w\\": "[0,3]" }],
        ["changes", { "producer:w\\": "[1,0]" }],
        ["whole", { "producer:w\\": "[0,9]" }]
      ],
      "has [0,9] of \"producer:w\\\\\", which had come to [1,0] before"
    ],
    [
      "a stream that a subscription took for another",
      1,
      [
        ["whole", { wake: "{}", "link:w\t": link }],
        ["whole", { wake: "{}", "link:w\\": link }]
      ],
      "lacks \"link:w\\t\", which was there before"
    ]
  ]
  it.effect.each(wrong)("reports %s", ([, commit, said, problem]) =>
    Effect.gen(function*() {
      const { files, starts } = logOf(said)
      const { faults } = yield* verifying(FaultDisk.holding(files))
      assert.deepStrictEqual(faults.map(({ kind, offset, position }) => ({ kind, offset, position })), [
        { kind: "misled", offset: 1, position: starts[commit]! }
      ])
      const end = "an append can be there twice from there on, or be missing"
      assert.strictEqual(faults[0]!.problem, `the state in the commit there ${problem}: ${end}`)
      // `verify` still cuts a torn end, and still reports the wrong state.
      const torn = FaultDisk.holding({ [path]: Buffer.concat([files[path]!, Buffer.from("{\"off")]) })
      const repaired = yield* verifying(torn, { repair: true })
      assert.strictEqual(repaired.faults[0]!.kind, "misled")
      assert.strictEqual(repaired.faults[0]!.repaired?.bytes, 5)
      assert.strictEqual(repaired.verified.repaired, 0)
    }))

  it.effect("reports nothing when entries are removed and numbers grow, however large the state is", () =>
    Effect.gen(function*() {
      const many = Object.fromEntries(
        Array.from({ length: 3_000 }, (_, i) => [`producer:${"\\\"".repeat(100)}${i}`, "[0,0]"])
      )
      const { files } = logOf([
        ["whole", { ...many, "link:w\t": link, "fork:1": `"a"`, seq: `"b"` }],
        ["changes", { "link:w\t": undefined, "producer:\\": "[3,9]", "fork:1": undefined }],
        ["changes", { "link:w\\": link, "producer:\\": "[3,10]", seq: `"c"` }],
        ["changes", { "producer:\\": "[4,0]" }],
        ["whole", { ...many, "producer:\\": "[4,0]", "producer:\"": "[0,0]" }],
        ["whole", { ...many, "producer:\\": "[4,2]", "producer:\"": "[0,0]", closed: "true" }]
      ])
      assert.isAbove(files[path]!.length, 3 * 1024 * 1024)
      assert.deepStrictEqual((yield* verifying(FaultDisk.holding(files))).faults, [])
    }))
})
