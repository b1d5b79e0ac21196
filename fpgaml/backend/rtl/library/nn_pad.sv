// Stream stage: positions of a map with FILL around them. It walks the padded map, one position a cycle, and takes an
// input only where there is one.
module nn_pad #(
    parameter int WIDTH  = 8,
    parameter int ROWS   = 4,  // of the map before
    parameter int COLS   = 4,
    parameter int TOP    = 1,
    parameter int BOTTOM = 1,
    parameter int LEFT   = 1,
    parameter int RIGHT  = 1,
    parameter logic [WIDTH-1:0] FILL = '0
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             in_valid,
    output logic             in_ready,
    input  logic [WIDTH-1:0] in_data,
    output logic             out_valid,
    input  logic             out_ready,
    output logic [WIDTH-1:0] out_data
);
  localparam int ALL_ROWS = TOP + ROWS + BOTTOM;
  localparam int ALL_COLS = LEFT + COLS + RIGHT;
  localparam int RW = $clog2(ALL_ROWS + 1);
  localparam int CW = $clog2(ALL_COLS + 1);

  logic [RW-1:0] row;
  logic [CW-1:0] col;
  wire on_map = 32'(row) + 1 > TOP && 32'(row) < TOP + ROWS && 32'(col) + 1 > LEFT && 32'(col) < LEFT + COLS;
  wire advance = !out_valid || out_ready;
  wire step = advance && (in_valid || !on_map);
  wire last_col = 32'(col) == ALL_COLS - 1;
  wire last_row = 32'(row) == ALL_ROWS - 1;

  assign in_ready = advance && on_map;
  always_ff @(posedge clk) begin
    if (rst) begin
      row <= '0;
      col <= '0;
      out_valid <= 1'b0;
    end else begin
      if (advance) out_valid <= step;
      if (step) begin
        col <= last_col ? '0 : col + 1'b1;
        if (last_col) row <= last_row ? '0 : row + 1'b1;
      end
    end
    if (step) out_data <= on_map ? in_data : FILL;
  end
endmodule
