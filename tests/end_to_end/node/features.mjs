// What an application gives to Mastra's MCPClient beside an address: handlers, each of which keeps what it was told.

// `wanted` says which: {"answers": {question: ElicitResult}, "pages": true, "roots": [...], "progress": true,
// "logs": true, "approve": true}. What it adds to a server's definition differs between the versions of @mastra/mcp.
export function withFeatures(definition, version, wanted, heard) {
  const more = { enableProgressTracking: Boolean(wanted.progress), enableServerLogs: Boolean(wanted.logs) };
  if (wanted.logs) {
    more.logger = ({ level, message, details }) => {
      if (message.endsWith('[MCP SERVER LOG]')) heard.logs.push({ level, ...details });
    };
  }
  if (wanted.answers && version === '2') {
    more.inputRequests = async ({ params }) => answered(params, wanted, heard);
    if (wanted.pages) more.capabilities = { elicitation: { form: {}, url: {} } };
  }
  if (wanted.roots && version === '1') more.roots = wanted.roots;
  if (wanted.approve) {
    more.requireToolApproval = ({ toolName, args, annotations }) => {
      heard.approvals.push({ toolName, args, annotations });
      return annotations?.readOnlyHint !== true;
    };
  }
  return { ...definition, ...more };
}

// What @mastra/mcp 1 takes before it connects.
export async function beforeConnecting(mcp, server, version, wanted, heard) {
  if (wanted.answers && version === '1') {
    await mcp.elicitation.onRequest(server, async (params) => answered(params, wanted, heard));
  }
}

export async function onceConnected(mcp, server, wanted, heard) {
  if (wanted.progress) await mcp.progress.onUpdate(server, (params) => heard.progress.push(params));
}

export const nothingHeard = () => ({ questions: [], progress: [], logs: [], approvals: [] });

function answered(params, { answers }, heard) {
  heard.questions.push(params);
  return answers[params.message] ?? { action: 'decline' };
}
