/* retab.core where there is no memory: each allocation fails in turn, of Lua's and of ours on the C heap. */
#include <lauxlib.h>
#include <lua.h>

#include "exhaust.h"

int luaopen_retab_core(lua_State *L);

/* Each is called with core. */
static const struct exhaust_scenario scenarios[] = {
    {"decode",
     "local core = ...\n"
     "local text = [=[{\"a\":[1,2.5,-3e300,12345678901234567890,true,false,null,\"x\\u00e9\\n\"],\"b\":\"repeats\","
     "\"k\\u0065y\":{\"deep\":[[[[[[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]]]]]]}}]=]\n"
     "for _ = 1, 2 do assert(assert(core.decode(text)).b == 'repeats') end\n"
     "assert(#assert(core.decode('[' .. text .. ',' .. text .. ']', { null = core.null }))[1].a == 8)\n"
     "local nothing, message, position = core.decode('[1,]')\n"
     "assert(nothing == nil and message and position == 4)\n"},
    {"decode a map", "local core = ...\n"
                     "local members = {}\n"
                     "for i = 1, 100 do members[i] = ('\"key%d\":{\"n\":%d,\"s\":\"%d\"}'):format(i, i, i) end\n"
                     "local text = '{' .. table.concat(members, ',') .. '}'\n"
                     "for _ = 1, 2 do assert(assert(core.decode(text)).key99.n == 99) end\n"},
    {"decode objects that are alike",
     "local core = ...\n"
     "local text = '[' .. ('{\"a\":1,\"b\":2,\"c\":{},\"d\":\"e\"},'):rep(300) .. '{\"a\":1,\"b\":2,\"d\":3}]'\n"
     "for _ = 1, 2 do\n"
     "  local value = assert(core.decode(text))\n"
     "  assert(value[300].d == 'e' and value[301].d == 3)\n"
     "end\n"},
    {"decode fields",
     "local core = ...\n"
     "local text = [=[{\"runs\":[{\"id\":\"a\",\"skip\":[{}],\"l\":{\"s\":\"x\",\"t\":[1]}}],\"more\":1}]=]\n"
     "for _, fields in ipairs { { 'runs.id' }, { 'runs.id', 'runs.l.s' } } do\n"
     "  local value = assert(core.decode(text, { fields = fields }))\n"
     "  assert(value.runs[1].id == 'a' and value.more == nil)\n"
     "end\n"},
    {"envelope",
     "local core = ...\n"
     "local text = [=[{\"data\":[{\"id\":\"a\",\"s\":\"\\u20ac\"},{\"id\":\"b\"}],\"list_metadata\":{\"before\":null,"
     "\"after\":\"b\"},\"more\":[1]}]=]\n"
     "assert(assert(core.envelope(text)).list_metadata.after == 'b')\n"
     "assert(assert(core.envelope(text, { fields = { 'id' } })).data[2].id == 'b')\n"
     "for _, wrong in ipairs { '[]', '{\"data\":{}}', '{\"data\":[]}', '<html>' } do\n"
     "  local page, message = core.envelope(wrong)\n"
     "  assert(page == nil and message)\n"
     "end\n"},
};

static int open_module(lua_State *L)
{
    lua_pushcfunction(L, luaopen_retab_core);
    lua_call(L, 0, 1);
    return 1;
}

int main(void)
{
    exhaust(open_module, scenarios, sizeof scenarios / sizeof *scenarios, NULL);
    return 0;
}
