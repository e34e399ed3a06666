// A Mastra application under remote control: one JSON request for each line of standard input, one JSON answer for
// each line of standard output. Everything that it does goes through Mastra's own MCPClient and Agent.
//
//   -> {"id": 1, "do": "connect", "client": "c", "version": "2", "servers": {"web": {"url": "http://..."}}}
//   <- {"id": 1, "value": ...}  or  {"id": 1, "error": {"name", "id", "message"}}
//
// `version` picks @mastra/mcp 2 (MCP 2026-07-28, falling back to 2025-11-25) or 1 (MCP 2025-11-25); `features` says what
// the application handles, see features.mjs.

import { createInterface } from 'node:readline';
import { Mastra } from '@mastra/core';
import { Agent } from '@mastra/core/agent';
import { InMemoryStore } from '@mastra/core/storage';
import { beforeConnecting, nothingHeard, onceConnected, withFeatures } from './features.mjs';

const PACKAGES = { 2: '@mastra/mcp', 1: 'mastra-mcp-1' };
const CALL_TIMEOUT_MS = 60_000;
const clients = new Map();

function serverDefinition({ url, token, command, args, env, protocolVersion }) {
  if (!url) return { command, args, env, stderr: 'inherit' };
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const pinned = protocolVersion ? { protocolVersion } : {};
  return { url: new URL(url), connectTimeout: 30_000, requestInit: { headers }, ...pinned };
}

async function connect({ client, version, servers, list: listing = true, features = {} }) {
  const { MCPClient } = await import(PACKAGES[version]);
  const heard = nothingHeard();
  const definitions = Object.entries(servers).map(([name, server]) => [
    name, withFeatures(serverDefinition(server), version, features, heard),
  ]);
  const mcp = new MCPClient({ id: client, timeout: CALL_TIMEOUT_MS, servers: Object.fromEntries(definitions) });
  clients.set(client, { mcp, tools: {}, changes: new Map(), heard });
  for (const name of Object.keys(servers)) await beforeConnecting(mcp, name, version, features, heard);
  const listed = listing ? await list({ client }) : null;
  for (const name of Object.keys(servers)) await onceConnected(mcp, name, features, heard);
  return listed;
}

// The tools by Mastra's own names (`server_tool`), with the schemas that Mastra hands on to a model's provider.
async function list({ client }) {
  const state = clients.get(client);
  const { tools, errors } = await state.mcp.listToolsWithErrors();
  const definitions = await state.mcp.listToolDefinitions();
  state.tools = tools;
  const described = Object.entries(tools).map(([name, tool]) => [name, { id: tool.id, description: tool.description }]);
  return { tools: Object.fromEntries(described), errors, definitions };
}

async function execute({ client, tool, input }) {
  const found = clients.get(client).tools[tool];
  if (!found) throw new Error(`Mastra lists no tool named ${tool}`);
  return await found.execute(input, {});
}

async function executeMany({ client, calls }) {
  return await Promise.all(calls.map((call) => execute({ client, ...call }).catch((error) => described(error))));
}

// What the handlers were told since the last time.
async function heard({ client }) {
  const told = structuredClone(clients.get(client).heard);
  Object.assign(clients.get(client).heard, nothingHeard());
  return told;
}

// A language model without a network: it makes the calls of each of `steps`, then answers with what the tools returned.
function scriptedModel(steps) {
  const turns = [];
  const usage = { inputTokens: 1, outputTokens: 1, totalTokens: 2 };
  const doGenerate = async ({ prompt, tools }) => {
    turns.push({ offered: (tools ?? []).map(({ name, description, inputSchema }) => ({ name, description, inputSchema })) });
    const calls = steps[turns.length - 1];
    if (calls) {
      const content = calls.map(({ tool, input }, index) => ({
        type: 'tool-call', toolCallId: `call-${turns.length}-${index}`, toolName: tool, input: JSON.stringify(input),
      }));
      return { content, finishReason: 'tool-calls', usage, warnings: [] };
    }
    const results = prompt.filter(({ role }) => role === 'tool').flatMap(({ content }) => content);
    turns.at(-1).shown = results.map(({ output }) => output);
    const text = results.map(({ output }) => `The tool said ${JSON.stringify(output.value)}.`).join('\n');
    return { content: [{ type: 'text', text }], finishReason: 'stop', usage, warnings: [] };
  };
  const doStream = async () => { throw new Error('this model does not stream'); };
  const identity = { specificationVersion: 'v2', provider: 'offline', modelId: 'scripted', supportedUrls: {} };
  return { model: { ...identity, doGenerate, doStream }, turns };
}

// With `approve` true or false, that is what a person says of each call which needs an approval.
async function agent({ client, steps, toolsets = false, approve }) {
  const { mcp, tools } = clients.get(client);
  const { model, turns } = scriptedModel(steps);
  const assistant = new Agent({
    id: 'assistant', name: 'Assistant', instructions: 'Use the tools.', model, tools: toolsets ? {} : tools,
  });
  if (approve !== undefined) new Mastra({ agents: { assistant }, storage: new InMemoryStore(), logger: false });
  const options = { maxSteps: steps.length + 1, ...(toolsets ? { toolsets: await mcp.listToolsets() } : {}) };
  let answer = await assistant.generate('Go.', options);
  const suspended = [];
  while (answer.finishReason === 'suspended') {
    const { toolCallId, toolName } = answer.suspendPayload;
    suspended.push(toolName);
    const said = { runId: answer.runId, toolCallId };
    answer = await (approve ? assistant.approveToolCallGenerate(said) : assistant.declineToolCallGenerate(said));
  }
  const toolResults = answer.toolResults.map(({ payload }) => ({
    tool: payload.toolName, args: payload.args, result: payload.result, isError: payload.isError ?? false,
  }));
  return { text: answer.text, offered: turns[0].offered, shown: turns.at(-1).shown, toolResults, suspended };
}

async function listen({ client, server }) {
  const { mcp, changes } = clients.get(client);
  const state = { seen: 0, wake: () => {} };
  changes.set(server, state);
  await mcp.tools.onListChanged(server, () => { state.seen += 1; state.wake(); });
}

async function waitForChange({ client, server, milliseconds }) {
  const state = clients.get(client).changes.get(server);
  if (state.seen > 0) return state.seen;
  const { promise, resolve, reject } = Promise.withResolvers();
  const alarm = setTimeout(() => reject(new Error(`no list_changed within ${milliseconds} ms`)), milliseconds);
  state.wake = resolve;
  await promise;
  clearTimeout(alarm);
  return state.seen;
}

// A catalogue that was serialized earlier becomes tools again; nothing connects before the first call.
async function hydrate({ client, definitions }) {
  const state = clients.get(client);
  state.tools = await state.mcp.toolsFromDefinitions({ definitions });
  return Object.keys(state.tools);
}

async function disconnect({ client }) {
  const state = clients.get(client);
  clients.delete(client);
  await state.mcp.disconnect();
}

function described(error) {
  return { error: { name: error.name, id: error.id ?? null, message: error.message } };
}

const operations = { connect, list, execute, executeMany, heard, agent, listen, waitForChange, hydrate, disconnect };

async function answer(line) {
  const { id, do: operation, ...rest } = JSON.parse(line);
  const outcome = await operations[operation](rest).then((value) => ({ value: value ?? null }), described);
  process.stdout.write(`${JSON.stringify({ id, ...outcome })}\n`);
}

// Mastra writes its log with console.info and friends: standard output belongs to the answers.
for (const level of ['log', 'info', 'debug', 'warn']) console[level] = console.error;

const running = new Set();
for await (const line of createInterface({ input: process.stdin })) {
  const task = answer(line).finally(() => running.delete(task));
  running.add(task);
}
await Promise.all(running);
await Promise.all([...clients.keys()].map((client) => disconnect({ client })));
