/**
 * Access to a local server (G15, promise 12): the whole table of hosts, origins, sites, media types, methods and
 * routes, and attacks as browsers make them, over bare sockets; with `--browser` also real pages in Chromium. A refused
 * request reads and changes nothing. An allowed request does both; otherwise the refusals would prove nothing. There
 * are no tokens yet.
 */
import * as Path from "node:path"
import { chromiumMissing } from "../../support/pages.ts"
import { ServerProcess } from "../../support/server-process.ts"
import { request, Wire } from "../../support/wire.ts"
import { ask } from "../clients/ask.ts"
import { difference, footprint } from "../harness/footprint.ts"
import type { Outcome, Suite } from "../harness/suite.ts"
import { attacks } from "./access-attacks.ts"
import { tryInBrowser } from "./access-browser.ts"
import type { Combination } from "./access-table.ts"
import { friend, table } from "./access-table.ts"

export const access: Suite = {
  name: "access",
  about: "pages of other origins and rebinding, raw and, with --browser, in Chromium, read and change nothing",
  rounds: 1,
  run: async ({ directory, options, say }) => {
    if (options.browser && chromiumMissing !== undefined) return { skipped: chromiumMissing }
    const raw = await tryRaw(directory, () => true)
    say(`${raw.counts["refused"]} refused and ${raw.counts["letIn"]} let in over bare sockets`)
    if (!options.browser) return raw
    const browser = await tryInBrowser(Path.join(directory, "browser"), say)
    return {
      counts: { ...raw.counts, ...browser.counts },
      violations: [...raw.violations, ...browser.violations]
    }
  }
}

const secret = "what nobody else may read"

/** The number of connections at once. Each sends its next request after the answer to the one before. */
const connectionsAtOnce = 8

/** Runs the attacks, and the combinations of the table that `takes` selects. */
export const tryRaw = async (directory: string, takes: (index: number) => boolean): Promise<Outcome> => {
  const violations: Array<string> = []
  const { port, ...guarded } = await startWithSecret(Path.join(directory, "guarded"))
  const combinations = [...table(port)].filter((_, index) => takes(index))
  const refused = [...attacks.map(toCombination(port)), ...combinations.filter(({ isAllowed }) => !isAllowed)]
  await onConnections(refused, port, async (wire, combination) => {
    const fault = await refusedFault(wire, combination)
    if (fault !== undefined) violations.push(`${show(combination)}: ${fault}`)
  })
  const changed = difference(guarded.before, await footprint(port, guarded.server.directory, "nothing"))
  if (changed !== undefined) violations.push(`A refused request changed data: ${changed}`)
  const kept = await ask(port, "/v1/stream/secret?offset=-1")
  if (kept?.text !== JSON.stringify([secret])) violations.push(`The secret has changed: ${kept?.text}`)
  await guarded.server.kill()

  const open = await startWithSecret(Path.join(directory, "open"))
  const allowed = [...table(open.port)].filter(({ isAllowed }, index) => isAllowed && takes(index))
  let reads = 0
  let writes = 0
  await onConnections(allowed, open.port, async (wire, combination) => {
    const { fault, hasRead, hasWritten } = await letIn(wire, combination)
    // Later requests must find the stream, too.
    if (combination.method === "DELETE") await writeSecret(open.port)
    if (fault !== undefined) violations.push(`${show(combination)}: ${fault}`)
    if (hasRead) reads++
    if (hasWritten) writes++
  })
  if (reads === 0 || writes === 0) violations.push(`Allowed requests read ${reads} times and wrote ${writes} times`)
  await open.server.kill()
  return {
    counts: { attacks: attacks.length, refused: refused.length, letIn: allowed.length, reads, writes },
    violations
  }
}

const startWithSecret = async (directory: string) => {
  const server = await ServerProcess.make(directory)
  await server.start({ flags: [`--cors-origin=${friend}`] })
  const { port } = server
  await writeSecret(port)
  await ask(port, "/v1/stream/__ds/jwks.json")
  return { server, port, before: await footprint(port, server.directory, "nothing") }
}

const writeSecret = (port: number) =>
  ask(port, "/streams/secret", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ data: secret })
  })

const toCombination = (port: number) => ({ body, headers, method, target }: (typeof attacks)[number]): Combination => ({
  method,
  target,
  headers: Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, value.replace("{port}", String(port))])
  ),
  body,
  isAllowed: false,
  isPreflight: false,
  origin: undefined
})

/**
 * Runs several combinations at a time, in order on each connection, and replaces a connection that cannot be used
 * again.
 */
const onConnections = async (
  combinations: ReadonlyArray<Combination>,
  port: number,
  use: (wire: Wire, combination: Combination) => Promise<void>
): Promise<void> => {
  let next = 0
  await Promise.all(Array.from({ length: connectionsAtOnce }, async () => {
    let wire = await Wire.open(port)
    while (next < combinations.length) {
      const combination = combinations[next++]!
      wire.send(request(combination.method, combination.target, combination.headers, combination.body))
      await use(wire, combination)
      // A request for another protocol is the last one on its connection.
      const isLast = isFollowing(combination) || combination.headers["Upgrade"] !== undefined
      if (!isLast && !wire.socket.destroyed) continue
      wire.close()
      wire = await Wire.open(port)
    }
    wire.close()
  }))
}

const isFollowing = ({ isAllowed, target }: Combination): boolean =>
  isAllowed && (target === "/streams/secret?offset=-1" || target.endsWith("live=sse"))

/** Returns the fault in the answer to a request that must be refused, or undefined. */
const refusedFault = async (
  wire: Wire,
  { headers: sent, isPreflight, method }: Combination
): Promise<string | undefined> => {
  const head = await wire.head()
  // An answer to a follower never ends.
  if (head.status === 200 && head.headers["content-type"]?.startsWith("text/event-stream") === true) {
    wire.close()
    return "follows"
  }
  const body = await wire.body(head, method)
  const { headers, status } = head
  // HTTP rejects a malformed host as a bad request.
  const refusedWith = sent["Host"]?.includes("@") === true ? 400 : 403
  if (status !== (isPreflight ? 204 : refusedWith)) return `answered with ${status}`
  if (Object.keys(headers).some((name) => name.startsWith("access-control-allow-origin"))) return "lets the origin read"
  if (headers["cross-origin-resource-policy"] !== "same-origin") return "may be embedded"
  if (headers["x-content-type-options"] !== "nosniff") return "may be taken for a page"
  return body.includes(secret) ? "tells the secret" : undefined
}

const letIn = async (wire: Wire, combination: Combination) => {
  const { method, origin } = combination
  const head = await wire.head()
  const body = isFollowing(combination) ? Buffer.alloc(0) : await wire.body(head, method)
  const named = head.headers["access-control-allow-origin"]
  const fault = head.status === 403 || head.status >= 500
    ? `answered with ${head.status}`
    : named !== origin
    ? `the origin that may read is ${named}`
    : undefined
  return { fault, hasRead: body.includes(secret), hasWritten: method === "POST" && head.status === 201 }
}

const show = ({ headers, method, target }: Combination): string => `${method} ${target} ${JSON.stringify(headers)}`
