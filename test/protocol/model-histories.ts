/**
 * Random histories: every command on streams, in any order, on a few places, so that commands often meet.
 */
import * as fc from "fast-check"

/** Values as JSON messages, and bytes for streams of bytes; the stream's type decides which of them is used. */
export interface Payload {
  readonly values: ReadonlyArray<unknown>
  readonly bytes: Uint8Array
}

interface At {
  readonly slot: number
}

export type Command =
  | Create & { readonly do: "create" }
  | Append & { readonly do: "append" }
  | Produce & { readonly do: "produce" }
  | Fork & { readonly do: "fork" }
  | At & { readonly do: "read"; readonly at: number }
  | At & { readonly do: "close" | "delete" | "head" }
  | { readonly do: "crash" }

export interface Create extends At {
  readonly json: boolean
  readonly closed: boolean
  readonly first: Payload | undefined
}

export interface Append extends At {
  readonly payload: Payload
  readonly close: boolean
}

/** Epoch and number are steps from the producer's state. */
export interface Produce extends At {
  readonly id: string
  readonly epoch: number
  readonly seq: number
  readonly payload: Payload
}

/** `at` chooses one of the offsets the source knows, `sub` how much further. */
export interface Fork extends At {
  readonly target: number
  readonly at: number
  readonly sub: number
  readonly tooFar: boolean
  /** Whether the request has a content type. */
  readonly typed: boolean
}

const slot = fc.nat(5)
const is = <A extends Command["do"]>(name: A) => fc.constant(name)
const oneIn = (count: number) => fc.nat(count - 1).map((n) => n === 0)

const payload: fc.Arbitrary<Payload> = fc.record({
  values: fc.array(fc.jsonValue({ maxDepth: 2 }), { minLength: 1, maxLength: 5 }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 200, size: "max" })
})
const first = fc.option(payload, { nil: undefined })

const steady = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: is("create"), slot, json: fc.boolean(), closed: oneIn(8), first }) },
  { weight: 8, arbitrary: fc.record({ do: is("append"), slot, payload, close: oneIn(16) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: is("produce"),
      slot,
      id: fc.constantFrom("a\\", "a\""),
      // Mostly the next number, or a number that was used before.
      epoch: fc.constantFrom(0, 0, 0, 0, 1, -1),
      seq: fc.constantFrom(1, 1, 1, 0, -1, 2),
      payload
    })
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: is("fork"),
      slot,
      target: slot,
      at: fc.nat(),
      sub: fc.oneof(fc.constant(0), fc.nat()),
      tooFar: oneIn(10),
      typed: fc.boolean()
    })
  },
  { weight: 6, arbitrary: fc.record({ do: is("read"), slot, at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: is("close"), slot }) },
  { weight: 3, arbitrary: fc.record({ do: is("delete"), slot }) },
  { weight: 2, arbitrary: fc.record({ do: is("head"), slot }) }
)

/** Histories; if they have crashes, one command in this many is a crash. */
export const histories = (toCrash: number | undefined): fc.Arbitrary<ReadonlyArray<Command>> => {
  const crash = fc.record({ do: is("crash") })
  const one: fc.Arbitrary<Command> = toCrash === undefined
    ? steady
    : fc.oneof({ weight: toCrash - 1, arbitrary: steady }, { weight: 1, arbitrary: crash })
  return fc.array(one, { minLength: 1, maxLength: 60, size: "max" })
}
