/**
 * Lines of stdin, in the groups in which they arrive, each with its number. Each byte is read once, however large a line
 * is, and no more of a line is held than the server could take.
 */
import { Effect, Stream } from "effect"
import { WrongUsage } from "../exit.ts"

export interface Line {
  /** From 1 on; empty lines count. */
  readonly number: number
  /** Without its line end; U+FFFD stands for bytes that are not UTF-8. */
  readonly text: string
  /** The first byte that is not UTF-8, and its place in the line, from 1 on. */
  readonly badByte?: { readonly place: number; readonly byte: number } | undefined
  /** The line has more than this many bytes, and its text was not kept. */
  readonly longerThan?: number | undefined
}

/** A line up to this size is held without asking for the largest body that the server takes. */
const heldBytesMin = 64 * 1024

/** Groups of lines; empty lines are left out. `bytesMax` is asked once, when a line gets long. */
export const stdinLines = <E, R>(
  bytesMax: Effect.Effect<number, E, R>,
  input: AsyncIterable<Uint8Array> = process.stdin
): Stream.Stream<ReadonlyArray<Line>, E | WrongUsage, R> =>
  Stream.suspend(() => {
    const splitter = makeSplitter()
    let max: number | undefined
    return Stream.fromAsyncIterable(input, () => new WrongUsage("stdin could not be read.")).pipe(
      Stream.mapEffect((chunk) => {
        const lines = splitter.take(chunk)
        if (splitter.heldBytes() <= heldBytesMin) return Effect.succeed(lines)
        const asked = max === undefined ? Effect.map(bytesMax, (bytes) => max = bytes) : Effect.succeed(max)
        return Effect.map(asked, (bytes) => [...lines, ...splitter.giveUp(bytes)])
      }),
      Stream.concat(Stream.sync(splitter.end)),
      Stream.filter((lines) => lines.length > 0)
    )
  })

const makeSplitter = () => {
  let number = 0
  /** The beginning of a line whose end has not arrived, in the first bytes of a buffer that grows. */
  let held = Buffer.alloc(0)
  let heldBytes = 0
  let isGivenUp = false

  const hold = (bytes: Uint8Array) => {
    if (isGivenUp || bytes.length === 0) return
    if (heldBytes + bytes.length > held.length) {
      const larger = Buffer.alloc(2 * (heldBytes + bytes.length))
      held.copy(larger, 0, 0, heldBytes)
      held = larger
    }
    held.set(bytes, heldBytes)
    heldBytes += bytes.length
  }
  const line = (text: string, bytes?: Uint8Array): ReadonlyArray<Line> => {
    number++
    const own = (number === 1 && text.startsWith("\ufeff") ? text.slice(1) : text).replace(/\r$/, "")
    if (own === "") return []
    return [{ number, text: own, badByte: bytes === undefined ? undefined : badByteOf(bytes, text) }]
  }
  const toLine = (bytes: Uint8Array): ReadonlyArray<Line> => {
    const text = decode(bytes)
    return text === undefined ? line(replacing.decode(bytes), bytes) : line(text)
  }
  const heldLine = (): ReadonlyArray<Line> => {
    const bytes = held.subarray(0, heldBytes)
    const lines = isGivenUp ? [] : toLine(bytes)
    if (held.length > heldBytesMin) held = Buffer.alloc(0)
    heldBytes = 0
    isGivenUp = false
    return lines
  }
  const wholeLines = (bytes: Uint8Array): ReadonlyArray<Line> => {
    if (bytes.length === 0) return []
    const text = decode(bytes)
    if (text !== undefined) return text.slice(0, -1).split("\n").flatMap((text) => line(text))
    const lines: Array<Line> = []
    for (let from = 0; from < bytes.length;) {
      const end = bytes.indexOf(lineFeed, from)
      lines.push(...toLine(bytes.subarray(from, end)))
      from = end + 1
    }
    return lines
  }

  return {
    heldBytes: () => heldBytes,
    take: (chunk: Uint8Array): ReadonlyArray<Line> => {
      const last = chunk.lastIndexOf(lineFeed)
      if (last < 0) {
        hold(chunk)
        return []
      }
      let from = 0
      let lines: ReadonlyArray<Line> = []
      if (heldBytes > 0 || isGivenUp) {
        const first = chunk.indexOf(lineFeed)
        hold(chunk.subarray(0, first))
        lines = heldLine()
        from = first + 1
      }
      const whole = wholeLines(chunk.subarray(from, last + 1))
      hold(chunk.subarray(last + 1))
      return lines.length === 0 ? whole : [...lines, ...whole]
    },
    /** Drops the line that is held if it has more bytes, and the rest of it that is still to come. */
    giveUp: (bytes: number): ReadonlyArray<Line> => {
      if (heldBytes <= bytes) return []
      number++
      held = Buffer.alloc(0)
      heldBytes = 0
      isGivenUp = true
      return [{ number, text: "", longerThan: bytes }]
    },
    end: (): ReadonlyArray<Line> => heldBytes > 0 ? heldLine() : []
  }
}

const lineFeed = 0x0a

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const replacing = new TextDecoder("utf-8", { ignoreBOM: true })

/** Undefined when it is not UTF-8. */
const decode = (bytes: Uint8Array): string | undefined => {
  try {
    return strict.decode(bytes)
  } catch {
    return undefined
  }
}

/** The first byte that the text, made with replacements, does not repeat. */
const badByteOf = (bytes: Uint8Array, replaced: string): Line["badByte"] => {
  const good = Buffer.from(replaced)
  let at = 0
  while (bytes[at] === good[at]) at++
  return { place: at + 1, byte: bytes[at]! }
}
