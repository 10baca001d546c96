// Fine-tuning jobs by the unmodified OpenAI Node SDK. Nothing is trained: the file is a bad one.

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI, { toFile } from "openai";

const client = new OpenAI({
  baseURL: `${process.env.HEADRACE_TEST_URL}/v1`,
  apiKey: process.env.HEADRACE_TEST_KEY,
  maxRetries: 0,
});

async function ended(id) {
  for (;;) {
    const job = await client.fineTuning.jobs.retrieve(id);
    if (["succeeded", "failed", "cancelled"].includes(job.status)) {
      return job;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test("a job of a bad file fails with the line and the field", async () => {
  const rows = Buffer.from('{"messages": []}\n');
  const file = await client.files.create({
    file: await toFile(rows, "rows.jsonl"),
    purpose: "fine-tune",
  });
  const base = (await client.models.list()).data[0].id;
  const made = await client.fineTuning.jobs.create({
    model: base,
    training_file: file.id,
    metadata: { from: "node" },
  });
  assert.equal(made.object, "fine_tuning.job");
  const job = await ended(made.id);
  assert.equal(job.error.code, "invalid_training_file");
  assert.equal(job.error.param, "training_file");
  const listed = await client.fineTuning.jobs.list({ metadata: { from: "node" } });
  assert.deepEqual(listed.data.map((each) => each.id), [made.id]);
  const events = [];
  for await (const event of client.fineTuning.jobs.listEvents(made.id, { limit: 1 })) {
    events.push(event.message);
  }
  assert.ok(events.length >= 3);
  assert.match(events.at(-1), /^Created fine-tuning job/);
  const kept = await client.fineTuning.jobs.checkpoints.list(made.id);
  assert.deepEqual(kept.data, []);
});

test("what is not offered is refused by its field", async () => {
  await assert.rejects(
    client.fineTuning.jobs.create({ model: "no-such-model", training_file: "file-x" }),
    (error) => error.status === 404 && error.param === "model",
  );
});
