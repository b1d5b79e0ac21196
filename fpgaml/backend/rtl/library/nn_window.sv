// Stream stage: a line buffer of KERNEL_ROWS - 1 rows, and the window that ends at the position just taken.
//
// A window goes out where all of it lies on the map and the strides want it. Its taps are row-major, the oldest first:
// tap (i, j) stands at bit (i * KERNEL_COLS + j) * WIDTH.
module nn_window #(
    parameter int WIDTH       = 8,
    parameter int ROWS        = 4,
    parameter int COLS        = 4,
    parameter int KERNEL_ROWS = 2,
    parameter int KERNEL_COLS = 2,
    parameter int STRIDE_ROWS = 1,
    parameter int STRIDE_COLS = 1
) (
    input  logic                                     clk,
    input  logic                                     rst,
    input  logic                                     in_valid,
    output logic                                     in_ready,
    input  logic [                        WIDTH-1:0] in_data,
    output logic                                     out_valid,
    input  logic                                     out_ready,
    output logic [KERNEL_ROWS*KERNEL_COLS*WIDTH-1:0] out_data
);
  localparam int RW = $clog2(ROWS + 1);
  localparam int CW = $clog2(COLS + 1);
  localparam int SRW = $clog2(STRIDE_ROWS + 1);
  localparam int SCW = $clog2(STRIDE_COLS + 1);

  logic [RW-1:0] row;
  logic [CW-1:0] col;
  logic [SRW-1:0] row_phase;  // 0 where a window may end, from the first whole window on
  logic [SCW-1:0] col_phase;
  wire advance = !out_valid || out_ready;
  wire step = advance && in_valid;
  wire last_col = 32'(col) == COLS - 1;
  wire last_row = 32'(row) == ROWS - 1;
  wire whole = 32'(row) >= KERNEL_ROWS - 1 && 32'(col) >= KERNEL_COLS - 1 && row_phase == '0 && col_phase == '0;

  // The column that ends at the position taken, the oldest row first
  wire [KERNEL_ROWS*WIDTH-1:0] column;
  assign column[(KERNEL_ROWS-1)*WIDTH+:WIDTH] = in_data;
  generate
    for (genvar k = 0; k < KERNEL_ROWS - 1; k++) begin : g_line
      logic [WIDTH-1:0] line[COLS];
      assign column[k*WIDTH+:WIDTH] = line[col];
      always_ff @(posedge clk) if (step) line[col] <= column[(k+1)*WIDTH+:WIDTH];
    end
    for (genvar k = 0; k < KERNEL_ROWS; k++) begin : g_row
      localparam int AT = k * KERNEL_COLS * WIDTH;
      if (KERNEL_COLS == 1) begin : g_one
        always_ff @(posedge clk) if (step) out_data[AT+:WIDTH] <= column[k*WIDTH+:WIDTH];
      end else begin : g_shift
        always_ff @(posedge clk)
          if (step)
            out_data[AT+:KERNEL_COLS*WIDTH] <= {column[k*WIDTH+:WIDTH], out_data[AT+WIDTH+:(KERNEL_COLS-1)*WIDTH]};
      end
    end
  endgenerate

  assign in_ready = advance;
  always_ff @(posedge clk) begin
    if (rst) begin
      row <= '0;
      col <= '0;
      row_phase <= '0;
      col_phase <= '0;
      out_valid <= 1'b0;
    end else begin
      if (advance) out_valid <= in_valid && whole;
      if (step) begin
        col <= last_col ? '0 : col + 1'b1;
        if (last_col) col_phase <= '0;
        else if (32'(col) >= KERNEL_COLS - 1) col_phase <= 32'(col_phase) == STRIDE_COLS - 1 ? '0 : col_phase + 1'b1;
        if (last_col) begin
          row <= last_row ? '0 : row + 1'b1;
          if (last_row) row_phase <= '0;
          else if (32'(row) >= KERNEL_ROWS - 1) row_phase <= 32'(row_phase) == STRIDE_ROWS - 1 ? '0 : row_phase + 1'b1;
        end
      end
    end
  end
endmodule
