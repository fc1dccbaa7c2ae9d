/**
 * A real `EventSource` in a process of its own, which prints what its script says.
 */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"

export interface PrintingSource {
  /** The next line that it prints. */
  readonly next: () => Promise<string>
  readonly stop: () => void
}

/** Opens the address; `script` decides what `source` prints. */
export const eventSource = (url: string, script: string): PrintingSource => {
  // A wait for the next connection does not keep a process alive, so the timer does.
  const program = `
    setInterval(() => {}, 60_000)
    const source = new EventSource(${JSON.stringify(url)})
    ${script}`
  const child = spawn(process.execPath, ["--experimental-eventsource", "--no-warnings", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return { next: async () => (await lines.next()).value as string, stop: () => void child.kill("SIGKILL") }
}
