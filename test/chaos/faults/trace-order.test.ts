/**
 * The check of the order of system calls finds the one thing that it is for.
 */
import { assert, describe, it } from "@effect/vitest"
import { orderOf } from "./trace-order.ts"

const write = (fd: number, key: string) => `11 pwrite64(${fd}, "{\\"key\\":\\"${key}\\"}\\n", 12, 0) = 12`
const tell = (key: string) => `11 write(30, "HTTP/1.1 201 {\\"key\\":\\"${key}\\"}", 30) = 30`

const earlyIn = (...lines: ReadonlyArray<string>) => orderOf(lines.join("\n")).early

describe("the order of system calls", () => {
  it("the order is right if the flush began after the write and ended before the answer", () => {
    assert.deepStrictEqual(earlyIn(write(20, "a"), "12 fdatasync(20) = 0", tell("a"), tell("a")), [])
    assert.deepStrictEqual(
      earlyIn(write(20, "a"), "12 fdatasync(20 <unfinished ...>", "12 <... fdatasync resumed>) = 0", tell("a")),
      []
    )
  })

  it("the order is wrong if there was no flush, or one of another file, or one that failed", () => {
    assert.deepStrictEqual(earlyIn(write(20, "a"), tell("a")), ["a"])
    assert.deepStrictEqual(earlyIn(write(20, "a"), "12 fdatasync(21) = 0", tell("a")), ["a"])
    assert.deepStrictEqual(earlyIn(write(20, "a"), "12 fdatasync(20) = -1 EIO (Input/output error)", tell("a")), ["a"])
  })

  it("the order is wrong if the flush was under way when the event was written, or still is at the answer", () => {
    const begun = "12 fdatasync(20 <unfinished ...>"
    const through = "12 <... fdatasync resumed>) = 0"
    assert.deepStrictEqual(earlyIn(begun, write(20, "a"), through, tell("a")), ["a"])
    assert.deepStrictEqual(earlyIn(write(20, "a"), begun, tell("a"), through), ["a"])
    const slowly = ["13 pwrite64(20, \"{\\\"key\\\":\\\"a\\\"}\\n\", 12, 0 <unfinished ...>", begun]
    assert.deepStrictEqual(earlyIn(...slowly, "13 <... pwrite64 resumed>) = 12", through, tell("a")), ["a"])
  })

  it("the order is right if the event was flushed with the journal", () => {
    assert.deepStrictEqual(earlyIn(write(20, "a"), write(21, "a"), "12 fdatasync(21) = 0", tell("a")), [])
  })
})
