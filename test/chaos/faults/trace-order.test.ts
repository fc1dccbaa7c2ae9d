/**
 * What the order of system calls is held against finds the one thing it is there for.
 */
import { assert, describe, it } from "@effect/vitest"
import { orderOf } from "./trace-order.ts"

const write = (fd: number, key: string) => `11 pwrite64(${fd}, "{\\"key\\":\\"${key}\\"}\\n", 12, 0) = 12`
const told = (key: string) => `11 write(30, "HTTP/1.1 201 {\\"key\\":\\"${key}\\"}", 30) = 30`

const earlyIn = (...lines: ReadonlyArray<string>) => orderOf(lines.join("\n")).early

describe("the order of system calls", () => {
  it("is right where the flush began behind the write and was through before the answer", () => {
    assert.deepStrictEqual(earlyIn(write(20, "a"), "12 fdatasync(20) = 0", told("a"), told("a")), [])
    assert.deepStrictEqual(
      earlyIn(write(20, "a"), "12 fdatasync(20 <unfinished ...>", "12 <... fdatasync resumed>) = 0", told("a")),
      []
    )
  })

  it("is wrong where there was no flush, or one of another file, or one that failed", () => {
    assert.deepStrictEqual(earlyIn(write(20, "a"), told("a")), ["a"])
    assert.deepStrictEqual(earlyIn(write(20, "a"), "12 fdatasync(21) = 0", told("a")), ["a"])
    assert.deepStrictEqual(earlyIn(write(20, "a"), "12 fdatasync(20) = -1 EIO (Input/output error)", told("a")), ["a"])
  })

  it("is wrong where the flush was under way when the event was written, or still is when it is told", () => {
    const begun = "12 fdatasync(20 <unfinished ...>"
    const through = "12 <... fdatasync resumed>) = 0"
    assert.deepStrictEqual(earlyIn(begun, write(20, "a"), through, told("a")), ["a"])
    assert.deepStrictEqual(earlyIn(write(20, "a"), begun, told("a"), through), ["a"])
    const slowly = ["13 pwrite64(20, \"{\\\"key\\\":\\\"a\\\"}\\n\", 12, 0 <unfinished ...>", begun]
    assert.deepStrictEqual(earlyIn(...slowly, "13 <... pwrite64 resumed>) = 12", through, told("a")), ["a"])
  })

  it("is right where the event was flushed with the journal", () => {
    assert.deepStrictEqual(earlyIn(write(20, "a"), write(21, "a"), "12 fdatasync(21) = 0", told("a")), [])
  })
})
