// A Mastra application under remote control: one JSON request for each line of standard input, one JSON answer for
// each line of standard output. Everything that it does goes through Mastra's own MCPClient and Agent.
//
//   -> {"id": 1, "do": "connect", "client": "c", "version": "2", "servers": {"web": {"url": "http://..."}}}
//   <- {"id": 1, "value": ...}  or  {"id": 1, "error": {"name", "id", "message"}}
//
// `version` picks @mastra/mcp 2 (MCP 2026-07-28, falling back to 2025-11-25) or 1 (MCP 2025-11-25).

import { createInterface } from 'node:readline';
import { Agent } from '@mastra/core/agent';

const PACKAGES = { 2: '@mastra/mcp', 1: 'mastra-mcp-1' };
const CALL_TIMEOUT_MS = 60_000;
const clients = new Map();

function serverDefinition({ url, token, command, args, env }) {
  if (!url) return { command, args, env, stderr: 'inherit' };
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return { url: new URL(url), connectTimeout: 30_000, requestInit: { headers } };
}

async function connect({ client, version, servers, list: listing = true }) {
  const { MCPClient } = await import(PACKAGES[version]);
  const definitions = Object.entries(servers).map(([name, server]) => [name, serverDefinition(server)]);
  const mcp = new MCPClient({ id: client, timeout: CALL_TIMEOUT_MS, servers: Object.fromEntries(definitions) });
  clients.set(client, { mcp, tools: {}, changes: new Map() });
  return listing ? await list({ client }) : null;
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

// A language model without a network: it asks for each of `calls`, then answers with what the tools returned.
function scriptedModel(calls) {
  const turns = [];
  const usage = { inputTokens: 1, outputTokens: 1, totalTokens: 2 };
  const doGenerate = async ({ prompt, tools }) => {
    turns.push({ offered: (tools ?? []).map(({ name, description, inputSchema }) => ({ name, description, inputSchema })) });
    if (turns.length === 1) {
      const content = calls.map(({ tool, input }, index) => ({
        type: 'tool-call', toolCallId: `call-${index}`, toolName: tool, input: JSON.stringify(input),
      }));
      return { content, finishReason: 'tool-calls', usage, warnings: [] };
    }
    const results = prompt.filter(({ role }) => role === 'tool').flatMap(({ content }) => content);
    const text = results.map(({ output }) => `The tool said ${JSON.stringify(output.value)}.`).join('\n');
    return { content: [{ type: 'text', text }], finishReason: 'stop', usage, warnings: [] };
  };
  const doStream = async () => { throw new Error('this model does not stream'); };
  const identity = { specificationVersion: 'v2', provider: 'offline', modelId: 'scripted', supportedUrls: {} };
  return { model: { ...identity, doGenerate, doStream }, turns };
}

async function agent({ client, calls, toolsets = false }) {
  const { mcp, tools } = clients.get(client);
  const { model, turns } = scriptedModel(calls);
  const assistant = new Agent({
    id: 'assistant', name: 'Assistant', instructions: 'Use the tools.', model, tools: toolsets ? {} : tools,
  });
  const options = toolsets ? { toolsets: await mcp.listToolsets() } : {};
  const answer = await assistant.generate('Go.', { maxSteps: 3, ...options });
  const toolResults = answer.toolResults.map(({ payload }) => ({
    tool: payload.toolName, args: payload.args, result: payload.result, isError: payload.isError ?? false,
  }));
  return { text: answer.text, offered: turns[0].offered, toolResults };
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

const operations = { connect, list, execute, executeMany, agent, listen, waitForChange, hydrate, disconnect };

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
