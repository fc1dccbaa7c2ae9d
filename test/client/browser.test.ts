/**
 * The client as a page uses it: the shipped build, bundled, and run in a realm with only the parts of a browser, and in
 * a browser.
 */
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as Path from "node:path"
import * as vm from "node:vm"
import { rolldown } from "rolldown"
import { assert, beforeAll, describe, it } from "vitest"
import { root } from "../support/built.ts"
import { chromiumMissing, Pages } from "../support/pages.ts"
import { layerServer, talk } from "../support/served.ts"
import { fetchOf } from "./page-fetch.ts"

/**
 * Appends two events, follows the stream, appends a third, and is refused another; returns the results that the page
 * has.
 */
const conversation = (client: string) => `
import { follow, makeClient } from ${JSON.stringify(client)}
import { Effect, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"

globalThis.converse = (base) =>
  Effect.gen(function*() {
    const client = makeClient(base)
    yield* client.append("hello", '{"n":1}', { producer: { id: "page", epoch: 0, seq: 0 } })
    yield* client.appendAll("hello", ['{"n":2}'])
    const starts = []
    const texts = yield* follow("hello", {
      start: { offset: "0000000000000000" },
      locate: Effect.succeed(base),
      onConnected: (next) => Effect.sync(() => void starts.push(next))
    }).pipe(
      Stream.tap(({ next }) =>
        next === "0000000000000002" ? client.append("hello", '{"n":3}', { ifMatch: next }) : Effect.void
      ),
      Stream.map(({ text }) => text),
      Stream.take(3),
      Stream.runCollect
    )
    const refusal = yield* Effect.flip(client.append("hello", '{"n":4}', { ifMatch: "0000000000000001" }))
    const { nextOffset } = yield* client.info("hello")
    const { streams } = yield* client.list()
    return {
      data: texts.map((text) => JSON.parse(text).data),
      starts,
      refused: [refusal._tag, refusal.status],
      nextOffset,
      streams
    }
  }).pipe(Effect.provide(FetchHttpClient.layer), Effect.runPromise)
`

const expected = {
  data: [{ n: 1 }, { n: 2 }, { n: 3 }],
  starts: ["0000000000000000"],
  refused: ["ServerRefused", 412],
  nextOffset: "0000000000000003",
  streams: ["hello"]
}

/** The file that `durable-streams/client` stands for, in a library that was built to `directory`. */
const clientIn = (directory: string): string => {
  const { exports } = JSON.parse(fs.readFileSync(Path.join(root, "package.json"), "utf8")) as {
    readonly exports: { readonly "./client": { readonly default: string; readonly types: string } }
  }
  const { default: code, types } = exports["./client"]
  assert.isTrue(fs.existsSync(Path.join(directory, Path.relative("dist/lib", types))))
  return Path.join(directory, Path.relative("dist/lib", code))
}

/** Everything that the client imports, and a page's script around it. */
const bundle = async (directory: string) => {
  const client = clientIn(directory)
  const bundler = await rolldown({
    input: "page",
    platform: "browser",
    plugins: [{
      name: "page",
      resolveId: (id) => id === "page" ? Path.join(directory, "page.js") : undefined,
      load: (id) => id === Path.join(directory, "page.js") ? conversation(client) : undefined
    }]
  })
  const { output: [chunk] } = await bundler.generate({ format: "iife" })
  const modules = await bundler.watchFiles
  await bundler.close()
  return { script: chunk.code, imports: chunk.imports, modules }
}

describe("The client in a page", () => {
  let script = ""
  let modules: ReadonlyArray<string> = []
  let imports: ReadonlyArray<string> = []
  let directory = ""

  beforeAll(async () => {
    // Below the package, whose `effect` it imports.
    fs.mkdirSync(Path.join(root, "node_modules/.cache"), { recursive: true })
    directory = fs.mkdtempSync(Path.join(root, "node_modules/.cache/durable-streams-lib-"))
    execFileSync("npm", ["run", "-s", "build:lib", "--", "--outDir", directory], { cwd: root, stdio: "inherit" })
    ;({ imports, modules, script } = await bundle(directory))
    return () => fs.rmSync(directory, { recursive: true, force: true })
  }, 120_000)

  it("imports only effect, domain and api", () => {
    const strange = modules.filter((module) => {
      const [folder = ""] = Path.relative(directory, module).split("/")
      return !["client", "domain", "api", "page.js"].includes(folder) && !module.includes("/node_modules/effect/")
    })
    assert.deepStrictEqual(strange, [])
    assert.deepStrictEqual(imports, [])
    assert.isTrue(modules.includes(Path.join(directory, "client/follow.js")))
  })

  it("appends and follows with only the parts of a browser, from another origin", async () => {
    const origin = "https://app.example"
    const answer = await run(origin, (base) => {
      const page = vm.createContext({ ...ofBrowsers, fetch: fetchOf(origin) }) as {
        readonly converse: (base: string) => Promise<unknown>
      }
      vm.runInContext(script, page as vm.Context)
      return page.converse(base)
    })
    assert.deepStrictEqual(JSON.parse(JSON.stringify(answer)), expected)
  })

  it("appends and follows in Chromium, from another origin", { timeout: 120_000 }, async ({ skip }) => {
    skip(chromiumMissing !== undefined, chromiumMissing)
    const files: Readonly<Record<string, readonly [type: string, body: string]>> = {
      "/page": ["text/html", html],
      "/script.js": ["text/javascript", script]
    }
    const pages = await Pages.start(({ pathname }) => {
      const [type, body] = files[pathname] ?? []
      return type === undefined || body === undefined ? undefined : { headers: { "content-type": type }, body }
    })
    const origin = `http://friend.test:${pages.port}`
    const report = await run(
      origin,
      (base) => pages.open(Path.join(directory, "browser"), `${origin}/page?${new URLSearchParams({ base })}`)
    )
    pages.server.close()
    assert.deepStrictEqual(report, expected)
  })
})

const html = `<!doctype html><meta charset="utf-8"><title>a page</title><script src="/script.js"></script><script>
converse(new URLSearchParams(location.search).get("base"))
  .catch((error) => String(error))
  .then((answer) => fetch("/report", { method: "POST", body: JSON.stringify(answer) }))
</script>`

/** Talks to a server that lets pages of that origin in. */
const run = (origin: string, converse: (base: string) => Promise<unknown>) =>
  talk((port) => converse(`http://127.0.0.1:${port}`)).pipe(
    Effect.provide(layerServer({ corsOrigins: [origin] })),
    Effect.scoped,
    Effect.runPromise
  )

/** The parts that Node has in common with browsers, as far as a client needs them. */
const ofBrowsers = {
  AbortController,
  AbortSignal,
  Blob,
  FormData,
  Headers,
  ReadableStream,
  Request,
  Response,
  TextDecoder,
  TextEncoder,
  URL,
  URLSearchParams,
  clearInterval,
  clearTimeout,
  console,
  crypto,
  performance,
  queueMicrotask,
  setInterval,
  setTimeout,
  structuredClone
}
