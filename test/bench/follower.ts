/**
 * One follower on a plain socket, by Server-Sent Events or by long-polls. It only looks for the sequence number that
 * every event contains once, as `"seq":` and ten digits, and reports each in the order of arrival.
 */
import { connect } from "./load.ts"

export interface SequenceFollower {
  readonly close: () => void
}

export interface Following {
  readonly port: number
  readonly path: string
  readonly onSequence: (sequence: number) => void
  readonly onLost: (error: Error) => void
}

/** Resolves when the answer has begun: from then on the follower misses nothing. */
export const followEvents = async ({ onLost, onSequence, path, port }: Following): Promise<SequenceFollower> => {
  const sequences = sequencesIn(onSequence)
  let begun: (() => void) | undefined
  const started = new Promise<void>((resolve) => begun = resolve)
  const { close, socket } = await connect(port, (chunk) => {
    if (begun !== undefined) {
      const head = chunk.toString("latin1")
      if (!head.startsWith("HTTP/1.1 200")) return onLost(new Error(head))
      begun()
      begun = undefined
    }
    sequences(chunk)
  }, onLost)
  socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`)
  await started
  return { close }
}

/** Asks again from the end of the last answer; the path must be complete except for the offset. */
export const followByPolls = async ({ onLost, onSequence, path, port }: Following): Promise<SequenceFollower> => {
  const sequences = sequencesIn(onSequence)
  let pending = ""
  const { close, socket } = await connect(port, (chunk) => {
    pending += chunk.toString("latin1")
    const headEnd = pending.indexOf("\r\n\r\n")
    if (headEnd < 0) return
    const head = pending.slice(0, headEnd)
    const length = head.startsWith("HTTP/1.1 204") ? 0 : Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1])
    const next = /\r\nstream-next-offset: (\S+)/i.exec(head)?.[1]
    if (!head.startsWith("HTTP/1.1 20") || Number.isNaN(length) || next === undefined) {
      return onLost(new Error(pending))
    }
    if (pending.length < headEnd + 4 + length) return
    const body = pending.slice(headEnd + 4)
    pending = ""
    poll(next)
    if (length > 0) sequences(Buffer.from(body, "latin1"))
  }, onLost)
  const poll = (offset: string) =>
    socket.write(`GET ${path}&offset=${offset} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`)
  poll("-1")
  return { close }
}

const mark = Buffer.from(`"seq":`)
const digits = 10
const whole = mark.length + digits

/** The first sequence number; all later ones have the same number of digits. */
export const sequenceBase = 1_000_000_000

/** Returns a function that finds the sequence numbers in bytes that arrive in pieces of any size. */
export const sequencesIn = (onSequence: (sequence: number) => void) => {
  let rest: Buffer | undefined
  return (chunk: Buffer): void => {
    const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk])
    rest = undefined
    let at = bytes.indexOf(mark)
    let end = 0
    while (at >= 0 && at + whole <= bytes.length) {
      end = at + whole
      let sequence = 0
      for (let i = at + mark.length; i < end; i++) sequence = sequence * 10 + bytes[i]! - 0x30
      onSequence(sequence - sequenceBase)
      at = bytes.indexOf(mark, end)
    }
    // A frame that ends here leaves no rest. Otherwise keep the bytes that may be the first part of a number.
    if (bytes.length === end || bytes.at(-1) === 0x0a) return
    rest = Buffer.from(bytes.subarray(Math.max(end, at >= 0 ? at : bytes.length - whole)))
  }
}
