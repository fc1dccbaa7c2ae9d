/**
 * The checks find every kind of error: a correct history passes, and each error is reported by its number.
 */
import { assert, describe, it } from "vitest"
import { check } from "./checks.ts"
import type { Append, History, Operation, Read } from "./ledger.ts"

const common = { stream: "s", status: 200 } as const

const append = (keys: ReadonlyArray<string>, at: readonly [number, number], more: Partial<Append> = {}): Append => ({
  ...common,
  op: "append",
  client: "a",
  keys,
  invoke: at[0],
  complete: at[1],
  outcome: "ok",
  ...more
})

const read = (from: number, keys: ReadonlyArray<string>, at: readonly [number, number]): Read => ({
  ...common,
  op: "read",
  client: "r",
  from,
  keys,
  invoke: at[0],
  complete: at[1],
  outcome: "ok"
})

const producer = (seq: number) => ({ producer: { id: "p", epoch: 0, seq } })

const right: ReadonlyArray<Operation> = [
  append(["a"], [0, 10], { offset: 0 }),
  append(["b", "c"], [5, 12], { offset: 1, ...producer(0) }),
  append(["lost?"], [11, 15], { outcome: "unknown" }),
  append(["no"], [11, 15], { outcome: "refused", status: 412, ifMatch: 7 }),
  read(0, ["a", "b", "c"], [13, 20]),
  append(["d"], [21, 30], { offset: 3, ifMatch: 3 }),
  append(["e"], [31, 40], { offset: 4, ...producer(1) }),
  { ...common, op: "close", client: "a", invoke: 50, complete: 60, outcome: "ok" },
  read(2, ["c", "d", "e"], [61, 62])
]

const history = (
  operations: ReadonlyArray<Operation>,
  log: string,
  more: { readonly closed?: boolean; readonly seen?: string; readonly from?: number } = {}
): History => ({
  operations,
  follows: more.seen === undefined ? [] : [{
    client: "f",
    stream: "s",
    from: more.from ?? 0,
    seen: [...more.seen].map((key, i) => ({ offset: (more.from ?? 0) + i, key }))
  }],
  finals: [{
    stream: "s",
    exists: true,
    closed: more.closed ?? true,
    events: log.split(" ").map((key, offset) => ({ offset, key }))
  }]
})

const found = (history: History) =>
  [...new Set(check(history).map((violation) => violation.slice(0, 3).trim()))].toSorted()

/** Returns the correct history with one operation replaced. */
const but = (index: number, other: Partial<Append> | Partial<Read>): ReadonlyArray<Operation> =>
  right.map((operation, i) => i === index ? { ...operation, ...other } as Operation : operation)

describe("the checks of a history", () => {
  it("a correct history passes, whether its unknown operations happened or not", () => {
    assert.deepStrictEqual(check(history(right, "a b c d e", { seen: "abcde" })), [])
    assert.deepStrictEqual(
      check(history(
        but(5, { offset: 4, ifMatch: 4 }).with(6, append(["e"], [31, 40], producer(1)))
          .with(8, read(2, ["c", "lost?", "d", "e"], [61, 62])),
        "a b c lost? d e"
      )),
      []
    )
  })

  const wrong: ReadonlyArray<readonly [what: string, History, ...numbers: ReadonlyArray<string>]> = [
    ["an acknowledged event is not there", history(right.slice(0, 7), "a b c d", { closed: false }), "C1"],
    ["an event is there twice", history(right.slice(0, 4), "a b c c", { closed: false }), "C1", "C8"],
    ["an event lies elsewhere than was said", history([append(["a"], [0, 1], { offset: 1 })], "a"), "C1"],
    ["a refused event is there", history(right, "a b c d e no"), "C2"],
    ["an event that no client appended is there", history(right, "a b c d e x"), "C2"],
    ["a later event lies before an earlier one", history([append(["b"], [5, 6]), append(["a"], [0, 1])], "b a"), "C4"],
    ["a read misses an acknowledged event", history(but(8, { keys: ["c"] }), "a b c d e"), "C5"],
    ["a read shows an event before its append", history(but(4, { keys: ["a", "b", "c", "d"] }), "a b c d e"), "C5"],
    [
      "a read shows less than the read before it",
      history([append(["a"], [0, 9], { outcome: "unknown" }), read(0, ["a"], [1, 2]), read(0, [], [3, 4])], "a"),
      "C6"
    ],
    ["a read shows something else", history(but(4, { keys: ["a", "c", "b"] }), "a b c d e"), "C7"],
    ["only a part of a commit is there", history(right.slice(0, 4), "a b", { closed: false }), "C1", "C8"],
    [
      "a foreign event stands within a commit",
      history(right.slice(0, 4), "a b lost? c", { closed: false }),
      "C1",
      "C8"
    ],
    ["the server ignored a condition", history(but(5, { ifMatch: 2 }), "a b c d e"), "C9"],
    ["a closed stream is open", history(right, "a b c d e", { closed: false }), "C10"],
    ["an event was appended to a closed stream", history([...right, append(["z"], [70, 71])], "a b c d e z"), "C10"],
    ["a producer's number is missing", history(but(6, producer(2)), "a b c d e"), "C11"],
    ["an append was refused without a reason", history(but(3, { ifMatch: undefined }), "a b c d e"), "C16"],
    ["an append failed", history(but(2, { status: 500 }), "a b c d e"), "C16"],
    ["an append was not answered", history(but(2, { status: 0, complete: 20_011 }), "a b c d e"), "C16"],
    [
      "an existing stream was not found",
      history([append(["a"], [0, 1]), append(["b"], [2, 3], { outcome: "refused", status: 404 })], "a"),
      "C16"
    ],
    ["a follower missed an event", history(right, "a b c d e", { seen: "abde" }), "C7"],
    ["a follower saw an event twice", history(right, "a b c d e", { seen: "abbcde" }), "C7"],
    [
      "a deleted event is back",
      history(
        [append(["a"], [0, 1]), { ...common, op: "delete", client: "d", invoke: 2, complete: 3, outcome: "ok" }],
        "a",
        {
          closed: false
        }
      ),
      "C14"
    ]
  ]
  for (const [what, history, ...numbers] of wrong) {
    it(`the checks report that ${what}`, () => {
      const all = found(history)
      for (const number of numbers) assert.include(all, number)
    })
  }

  it("a server in trouble may refuse any append", () => {
    const { finals, follows, operations } = history(but(3, { ifMatch: undefined, status: 503 }), "a b c d e")
    assert.deepStrictEqual(check({ operations, follows, finals, troubled: true }), [])
  })

  it("the checks report a gap in a follower's offsets", () => {
    const seen = [{ offset: 0, key: "a" }, { offset: 2, key: "c" }]
    const follows = [{ client: "f", stream: "s", from: 0, seen }]
    assert.include(found({ ...history(right, "a b c d e"), follows }), "C12")
  })

  it("the checks report a gap in a log's offsets", () => {
    const events = [{ offset: 0, key: "a" }, { offset: 2, key: "b" }]
    const finals = [{ stream: "s", exists: true, closed: false, events }]
    assert.include(found({ operations: [append(["a"], [0, 1]), append(["b"], [2, 3])], follows: [], finals }), "C3")
  })
})
