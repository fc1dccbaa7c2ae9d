/**
 * The public conformance suite (`@durable-streams/server-conformance-tests`) as tests of ours, against a server process.
 * The suite registers its tests with the vitest it finds; the last test here counts that all of them were registered and
 * ran, so that a suite that says nothing is not taken for one that is content.
 */
import { runConformanceTests } from "@durable-streams/server-conformance-tests"
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  type RunnerTask,
  type RunnerTestCase,
  test,
  type TestContext
} from "vitest"
import { longPollMillis, Target } from "../support/target.ts"

/** What version 0.3.6 of the suite has, subscriptions included. */
export const testsInSuite = 338

const suiteName = "the suite"

/** Registers the suite. `beforeTest` is told of each test, after the one before is over. */
export const conformance = (
  storage: "memory" | "fs",
  beforeTest?: (target: Target, task: RunnerTestCase) => Promise<void>
): void => {
  const options = { baseUrl: "", longPollTimeoutMs: longPollMillis, subscriptions: true }
  let target: Target

  beforeAll(async () => {
    target = await Target.start(storage)
    options.baseUrl = target.origin
  })
  afterAll(() => target.stop())

  // Its tests have streams of their own, and many of them wait for seconds to pass. Kills need one at a time.
  describe(suiteName, { concurrent: beforeTest === undefined }, () => {
    if (beforeTest !== undefined) beforeEach(({ task }) => beforeTest(target, task))
    else beforeEach(takeTurn())
    runConformanceTests(options)
  })

  test(`has ${testsInSuite} tests, and all of them ran`, ({ task }) => {
    const suite = task.file.tasks.find(({ name }) => name === suiteName)
    const states = testsOf([suite!]).map(({ result }) => result?.state)
    expect(states.filter((state) => state === "pass" || state === "fail")).toHaveLength(testsInSuite)
    expect(states).toHaveLength(testsInSuite)
  })
}

/** The webhooks of these tests share a receiver's port. */
const oneAtATime = "Reserved subscription APIs"

/** Lets the tests of that block wait for one another, before their own time begins. */
const takeTurn = () => {
  let last = Promise.resolve()
  return ({ onTestFinished, task }: TestContext) => {
    if (task.suite?.name !== oneAtATime) return undefined
    const before = last
    last = new Promise((resolve) => onTestFinished(() => resolve()))
    return before
  }
}

const testsOf = (tasks: ReadonlyArray<RunnerTask>): ReadonlyArray<RunnerTask> =>
  tasks.flatMap((task) => task.type === "suite" ? testsOf(task.tasks) : [task])
