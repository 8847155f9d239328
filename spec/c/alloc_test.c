/* retab.core where there is no memory: each allocation fails in turn, of Lua's and of ours on the C heap. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "check.h"
#include "exhaust.h"
#include "heap.h"

int luaopen_retab_core(lua_State *L);

/* Each is called with core. */
static const struct exhaust_scenario scenarios[] = {
    {"decode deep", "local core = ...\n"
                    "local long = ('x'):rep(1000)\n"
                    "local text = ('{\"a\":['):rep(60) .. '\"\\\\n' .. long .. '\"' .. (']}'):rep(60)\n"
                    "assert(core.decode(text).a[1].a[1].a)\n"
                    "assert(core.decode(text, { fields = { 'b' } }).a == nil)\n"
                    "assert(core.decode(('['):rep(1000) .. (']'):rep(1000), { max_depth = 1000 }))\n"},
    {"object", "local core = ...\n"
               "local body = '{\"id\":\"a\",\"data\":[],\"list_metadata\":{\"after\":\"cursor_1\"}}'\n"
               "assert(core.object(body, { fields = { 'id' } }).id == 'a')\n"
               "assert(core.next_cursor(body) == 'cursor_' .. 1)\n"
               "local value, message = core.object '[]'\n"
               "assert(value == nil and message)\n"},
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

/* Whatever was decoded, a reader keeps no more than this on the C heap. */
#define KEPT ((size_t)1024 * 1024)

/* Each makes large buffers, or teaches a reader as much as it can learn. */
static const char large[] =
    "local core = ...\n"
    "local long = ('x'):rep(5000000)\n"
    "assert(#core.decode('\"\\\\n' .. long .. '\"') == 5000001)\n"
    "local brackets = ('['):rep(900000) .. (']'):rep(900000)\n"
    "assert(core.decode('{\"a\":' .. brackets .. ',\"b\":1}', { fields = { 'b' }, max_depth = 1000000 }).b == 1)\n"
    "core.decode(brackets, { max_depth = 1000000 })\n"
    "for i = 1, 100 do\n"
    "  local members = {}\n"
    "  for j = 1, 60 do members[j] = ('\"%s%d_%d\":{\"%s\":[[1]]}'):format(('k'):rep(50), i, j, ('v'):rep(60)) end\n"
    "  assert(core.decode('{\"a' .. i .. '\":{' .. table.concat(members, ',') .. '}}'))\n"
    "end\n";

static int open_module(lua_State *L)
{
    lua_pushcfunction(L, luaopen_retab_core);
    lua_call(L, 0, 1);
    return 1;
}

static void test_caps(void)
{
    lua_State *L = luaL_newstate();
    CHECK(L != NULL, "a new state");
    luaL_openlibs(L);
    CHECK(luaL_loadstring(L, large) == LUA_OK, "%s", lua_tostring(L, -1));
    (void)open_module(L);
    CHECK(lua_pcall(L, 1, 0, 0) == LUA_OK, "%s", lua_tostring(L, -1));
    CHECK(heap_bytes() > 0 && heap_bytes() < KEPT, "%zu bytes are kept", heap_bytes());
    lua_close(L);
    CHECK(heap_bytes() == 0, "%zu bytes are left", heap_bytes());
}

int main(void)
{
    test_caps();
    exhaust(open_module, scenarios, sizeof scenarios / sizeof *scenarios, NULL);
    return 0;
}
