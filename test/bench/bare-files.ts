/**
 * The smallest possible durable append: a hundred bytes written one after the other to a file, in a process of its own.
 * It receives its task over IPC, and answers with the milliseconds of each write: with or without a flush, and by the
 * calling thread (which has the lowest latency possible) or through Node's thread pool (which a server needs to answer
 * other requests meanwhile).
 */
import * as fs from "node:fs"
import * as fsp from "node:fs/promises"

export interface Writing {
  readonly flushed: boolean
  readonly pooled: boolean
  readonly millis: number
}

const file = process.argv[2]!
const bytes = Buffer.alloc(100, "x")

const write = async ({ flushed, millis, pooled }: Writing): Promise<Float64Array> => {
  const took: Array<number> = []
  const handle = await fsp.open(file, "a")
  const until = performance.now() + millis
  for (let from = performance.now(); from < until;) {
    if (pooled) {
      await handle.write(bytes)
      if (flushed) await handle.datasync()
    } else {
      fs.writeSync(handle.fd, bytes)
      if (flushed) fs.fdatasyncSync(handle.fd)
    }
    const now = performance.now()
    took.push(now - from)
    from = now
  }
  await handle.truncate(0)
  await handle.close()
  return Float64Array.from(took)
}

process.on("message", (writing: Writing) => void write(writing).then((took) => process.send!(took)))
process.on("disconnect", () => process.exit())
