/**
 * The kinds of damage to the bytes of a finished log, at any place of it.
 */
import type { Random } from "../support/random.ts"

type Kind = "flip" | "zero" | "cut" | "duplicate" | "swap" | "garbage" | "zeros"

const weights: Readonly<Record<Kind, number>> = {
  flip: 4,
  zero: 2,
  cut: 2,
  duplicate: 2,
  swap: 2,
  garbage: 1,
  zeros: 1
}

/** The unit in which a disk reads and writes. */
const sector = 512

/**
 * Damages the bytes. `ends` are the ends of the commits: half of the blocks that are duplicated, swapped and cut out
 * are whole commits.
 */
export const damageBytes = (bytes: Buffer, ends: ReadonlyArray<number>, random: Random) => {
  const kind = random.weighted(weights)
  return { kind, bytes: damageBy(kind, bytes, ends, random) }
}

const damageBy = (kind: Kind, bytes: Buffer, ends: ReadonlyArray<number>, random: Random): Buffer => {
  const at = random.between(0, bytes.length - 1)
  switch (kind) {
    case "flip": {
      const flipped = Buffer.from(bytes)
      flipped[at]! ^= 1 << random.between(0, 7)
      return flipped
    }
    case "zero":
      return Buffer.from(bytes).fill(0, at, Math.min(at + sector, bytes.length))
    case "cut": {
      const { from, to } = random.chance(0.5) ? block(ends, random) : { from: at, to: at + random.between(1, 2_000) }
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)])
    }
    case "duplicate": {
      const { from, to } = random.chance(0.5) ? block(ends, random) : { from: at, to: at + sector }
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)])
    }
    case "swap": {
      const [one, other] = random.chance(0.5)
        ? [block(ends, random), block(ends, random)]
        : [at, random.between(0, bytes.length - 1)].map((from) => ({ from, to: Math.min(from + sector, bytes.length) }))
      return swap(bytes, one!, other!)
    }
    case "garbage":
      return Buffer.concat([
        bytes,
        Buffer.from(Array.from({ length: random.between(1, 2_000) }, () => random.between(0, 255)))
      ])
    case "zeros":
      return Buffer.concat([bytes, Buffer.alloc(random.between(1, 70_000))])
  }
}

interface Block {
  readonly from: number
  readonly to: number
}

/** Picks some whole commits. */
const block = (ends: ReadonlyArray<number>, random: Random): Block => {
  const first = random.between(0, ends.length - 2)
  return { from: ends[first]!, to: ends[Math.min(first + random.between(1, 3), ends.length - 1)]! }
}

/** If the blocks overlap, the first one ends where the second begins. */
const swap = (bytes: Buffer, one: Block, other: Block): Buffer => {
  const [first, second] = one.from <= other.from ? [one, other] : [other, one]
  const end = Math.min(first.to, second.from)
  return Buffer.concat([
    bytes.subarray(0, first.from),
    bytes.subarray(second.from, second.to),
    bytes.subarray(end, second.from),
    bytes.subarray(first.from, end),
    bytes.subarray(second.to)
  ])
}
