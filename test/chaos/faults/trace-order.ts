/**
 * Checks a trace of system calls (`strace -f`, strings in full) against promise 2: no client is told of an event before
 * the success of a flush that began after the event was written. Keys identify the events. strace writes the calls in
 * the order in which they began and ended: a call on one line began when the call on the line before had ended.
 */

interface Order {
  /** The number of answers and deliveries that carry an event. */
  readonly told: number
  readonly flushes: number
  /** The keys of events of which a client was told too early. */
  readonly early: ReadonlyArray<string>
}

export const orderOf = (trace: string): Order => {
  const early: Array<string> = []
  const durable = new Set<string>()
  /** Keys that were written to a descriptor and not flushed there yet. */
  const written = new Map<string, Set<string>>()
  /** The unfinished call of each process. */
  const under = new Map<string, Call>()
  let told = 0
  let flushes = 0

  const begin = (process: string, name: string, args: string) => {
    const fd = /^\d+/.exec(args)?.[0] ?? ""
    const isFlush = name === "fdatasync" || name === "fsync"
    const keys = isFlush ? [...written.get(fd) ?? []] : keysOf(args)
    under.set(process, { fd, keys, isFlush, isFile: isFlush || name.startsWith("pwrite") })
    if (isFlush || name.startsWith("pwrite")) return
    for (const key of keys) {
      told++
      if (!durable.has(key)) early.push(key)
    }
  }

  const end = (process: string, result: string) => {
    const call = under.get(process)
    under.delete(process)
    if (call === undefined || !call.isFile || result.startsWith("-1")) return
    if (!call.isFlush) {
      const keys = written.get(call.fd) ?? new Set()
      for (const key of call.keys) keys.add(key)
      written.set(call.fd, keys)
      return
    }
    flushes++
    for (const key of call.keys) {
      durable.add(key)
      written.get(call.fd)?.delete(key)
    }
  }

  for (const line of trace.split("\n")) {
    const { args, name, process, resumed } =
      /^(?<process>\d+) +(?:<\.\.\. \w+ (?<resumed>resumed)>|(?<name>\w+)\()(?<args>.*)/
        .exec(line)?.groups ?? {}
    if (process === undefined || args === undefined) continue
    if (resumed === undefined) begin(process, name!, args)
    if (!args.endsWith("<unfinished ...>")) end(process, args.slice(args.lastIndexOf("= ") + 2))
  }
  return { told, flushes, early }
}

interface Call {
  readonly fd: string
  readonly keys: ReadonlyArray<string>
  readonly isFlush: boolean
  readonly isFile: boolean
}

const keysOf = (args: string): ReadonlyArray<string> =>
  [...args.matchAll(/\\"key\\":\\"([^"\\]+)\\"/g)].map(([, key]) => key!)
