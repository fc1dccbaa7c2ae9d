/**
 * Random histories of streams in this process: the requests that are sent at once, the failures of the disk meanwhile,
 * and the order in which its calls settle. fast-check shortens a failing history.
 */
import * as fc from "fast-check"

export interface Append {
  readonly kind: "append"
  readonly slot: number
  /** The number of characters of each event. */
  readonly sizes: ReadonlyArray<number>
  readonly close: boolean
  /** A hook refuses the last event, and so the whole append. */
  readonly vetoed: boolean
  /** Epoch and number, as steps from the producer's current ones. */
  readonly producer: { readonly id: string; readonly epoch: number; readonly seq: number } | undefined
  /** The distance of the append's condition from the tail; undefined: no condition. */
  readonly ifMatch: number | undefined
}

export type Ask = Append | { readonly kind: "delete"; readonly slot: number }

export type Step =
  /** The disk fails at one call, `failsAt` calls later. In that case nothing is deleted. */
  | { readonly do: "ask"; readonly asks: ReadonlyArray<Ask>; readonly failsAt: number | undefined }
  /** The process dies at that call, and the seed decides which writes the disk keeps. */
  | { readonly do: "crash"; readonly asks: ReadonlyArray<Ask>; readonly at: number; readonly seed: number }
  | { readonly do: "sleep" }
  | { readonly do: "follow"; readonly slot: number; readonly from: number }

export interface StreamHistory {
  readonly steps: ReadonlyArray<Step>
  /** The turns that the calls of the disk take, one after the other, over and over. */
  readonly turns: ReadonlyArray<number>
}

export const slots = 3

const slot = fc.nat(slots - 1)
const sometimes = <A>(arbitrary: fc.Arbitrary<A>) => fc.option(arbitrary, { nil: undefined, freq: 2 })

const append: fc.Arbitrary<Append> = fc.record({
  kind: fc.constant("append" as const),
  slot,
  sizes: fc.array(fc.oneof({ weight: 9, arbitrary: fc.nat(60) }, { weight: 1, arbitrary: fc.nat(20_000) }), {
    minLength: 1,
    maxLength: 4
  }),
  close: fc.nat(30).map((n) => n === 0),
  vetoed: fc.nat(12).map((n) => n === 0),
  producer: sometimes(fc.record({
    id: fc.constantFrom("a\\", "a\"", "__proto__"),
    epoch: fc.constantFrom(0, 0, 0, 0, 1, -1),
    seq: fc.constantFrom(1, 1, 1, 0, 2)
  })),
  ifMatch: fc.constantFrom(undefined, undefined, undefined, 0, 1)
})

const asks = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: append },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), slot }) }
  ),
  { minLength: 1, maxLength: 5 }
)

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("ask" as const), asks, failsAt: sometimes(fc.nat(12)) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("crash" as const), asks, at: fc.nat(15), seed: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("sleep" as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("follow" as const), slot, from: fc.nat(5) }) }
)

export const streamHistories: fc.Arbitrary<StreamHistory> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 25, size: "max" }),
  turns: fc.array(fc.nat(4), { minLength: 1, maxLength: 12 })
})
