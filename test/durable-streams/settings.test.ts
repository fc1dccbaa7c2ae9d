/**
 * Settings as one table: docs/cli.md shows it, and every command names the variable whose value is wrong.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as Path from "node:path"
import { expect } from "vitest"
import type { SettingTable } from "../../src/domain/setting.ts"
import { bareVariables } from "../../src/durable-streams/cli/flags/bare-variables.ts"
import { settings } from "../../src/durable-streams/server/settings.ts"
import { root } from "../support/built.ts"
import { it as inRoom } from "../support/room.ts"

describe("docs/cli.md", () => {
  const page = fs.readFileSync(Path.join(root, "docs/cli.md"), "utf8")

  it("shows every setting as the table has it, in its order", () => {
    const rows = Object.values<SettingTable[string]>(settings).map(rowOf)
    const shown = page.split("\n").filter((line) => /^\| `--[a-z-]+ /.test(line))
    assert.deepStrictEqual(shown, rows)
  })

  it("names every variable that stands in for a flag, and those without a flag", () => {
    for (const { variable } of Object.values<SettingTable[string]>(settings)) {
      if (variable !== undefined) assert.include(page, `\`${variable}\``)
    }
    for (const { page: text, variable } of bareVariables) assert.include(page, `| \`${variable}\` | ${text} |`)
  })
})

const rowOf = ({ choices, flag, metavar, page }: SettingTable[string]): string =>
  `| \`--${flag} ${choices?.join("\\|") ?? metavar.toUpperCase()}\` | ${page.default} | ${page.text} |`

describe("a variable whose value is wrong", () => {
  inRoom("is named by every command, and no server is started", async ({ room }) => {
    const wrong = [
      ["DURABLE_STREAMS_PORT", "abc", "expected a number"],
      ["DURABLE_STREAMS_MAX_STREAMS", "many", "it is no whole number from 1 to 100000000"],
      [
        "DURABLE_STREAMS_LONG_POLL_TIMEOUT",
        "2h",
        "it is no time from 1ms to 1h: write seconds (30), or 500ms, 30s, 2m"
      ],
      [
        "DURABLE_STREAMS_ALLOW_HOST",
        "http://a",
        "it is no name: write the host without scheme, port or path, or *"
      ]
    ] as const
    for (const [variable, value, reason] of wrong) {
      const sentence = `The value "${value}" of ${variable} will not do: ${reason}.`
      const env = { [variable]: value }
      expect(await room.ds(["stream", "list"], { env })).toMatchObject({ code: 2, stdout: "", stderr: `${sentence}\n` })
      for (const command of ["run", "start", "restart"]) {
        expect(await room.ds(["server", command], { env })).toMatchObject({
          code: 2,
          stdout: "",
          stderr: `${sentence} See: durable-streams server ${command} --help\n`
        })
      }
    }
    expect((await room.ds(["server", "status"])).code).toBe(3)
  })
})
